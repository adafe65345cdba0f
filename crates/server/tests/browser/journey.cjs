// One person's and one operator's way through the pages, in a real Chromium, with screenshots.
"use strict";
const fs = require("fs");
const common = require("./common.cjs");

const { must, totp, shot } = common;
const { SETUP_CODE } = process.env;
const PASSWORD = "violet thunder under the bridge";

(async () => {
  const browser = await common.launch();
  const problems = [];
  const watch = (page) => {
    page.on("pageerror", (error) => problems.push(`page error: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error" && !message.text().includes("status of 4")) problems.push(`console: ${message.text()}`);
    });
  };
  const visit = async (options) => {
    const page = await common.visit(browser, options);
    watch(page);
    return page;
  };

  // The operator comes by the set-up link.
  const operator = await visit({});
  await operator.goto(`/account/setup?code=${SETUP_CODE}`);
  await shot(operator, "01-setup");
  await operator.fill("#username", "operator");
  await operator.fill("#email", "operator@example.com");
  await operator.fill("#password", "an operator keeps good notes");
  await operator.click("main button");
  await operator.waitForURL("**/account/sign-in?done=setup");
  await operator.fill("#identifier", "operator");
  await operator.fill("#password", "an operator keeps good notes");
  await operator.click("main button");
  await operator.waitForURL("**/account");
  await operator.click("text=Live");
  await operator.waitForSelector("#state.good");

  // The artist signs up with the keyboard only, and first makes mistakes.
  const artist = await visit({});
  await artist.goto("/account/sign-up");
  await artist.focus("#username");
  await artist.keyboard.type("a b");
  await artist.keyboard.press("Tab");
  await artist.keyboard.type("ada@example.com");
  await artist.keyboard.press("Tab");
  await artist.keyboard.press("Tab");
  await artist.keyboard.type("short");
  await artist.keyboard.press("Enter");
  await artist.waitForSelector("#username-error");
  await shot(artist, "02-sign-up-errors");
  await artist.fill("#username", "ada");
  await artist.fill("#password", PASSWORD);
  await artist.keyboard.press("Enter");
  await artist.waitForSelector("text=Check your mail");
  await shot(artist, "03-check-your-mail");
  const code = await common.codeFor("ada@example.com", "verify");
  await artist.goto(`/account/verify?code=${code}`);
  await artist.fill("#password", PASSWORD);
  await artist.click("main button");
  await artist.waitForSelector("text=Your address is verified");
  await artist.fill("#identifier", "ada");
  await artist.fill("#password", "not the right one at all");
  await artist.click("main button");
  await artist.waitForSelector(".notice.bad");
  await shot(artist, "04-sign-in-wrong");
  await artist.fill("#password", PASSWORD);
  await artist.click("main button");
  await artist.waitForURL("**/account");
  await shot(artist, "05-account");

  // A track goes through the gateway with the session cookie.
  const status = await artist.evaluate(async () => {
    const sound = new Uint8Array(200000);
    sound.set(new TextEncoder().encode("fLaC"));
    const answer = await fetch("/api/tracks", { method: "POST", headers: { "content-type": "audio/flac" }, body: sound });
    return answer.status;
  });
  must(status === 201, `the upload was answered with ${status}`);

  // The operator sees it without reloading.
  await operator.waitForSelector("tr.fresh:has-text('/api/tracks')");
  await shot(operator, "06-live");
  await operator.click("nav >> text=Events");
  await operator.selectOption("#kind", "session.sign_in_failed");
  await operator.click("main button");
  await operator.waitForSelector("td:has-text('session.sign_in_failed')");
  await shot(operator, "07-events");
  // One event, its proof, and the button that verifies it: forms, no scripts.
  await operator.click("tbody a:has-text('session.sign_in_failed') >> nth=0");
  await operator.waitForSelector("h1:has-text('session.sign_in_failed')");
  const [proof] = await Promise.all([operator.waitForEvent("download"), operator.click("text=Download proof")]);
  must(proof.suggestedFilename().endsWith(".tlog-proof"), "the proof has its name");
  const proven = fs.readFileSync(await proof.path(), "utf8");
  must(proven.startsWith("c2sp.org/tlog-proof@v1\n"), "the proof has its form");
  await operator.click("button:has-text('Verify')");
  await operator.waitForSelector(".notice.good:has-text('proven')");
  must((await operator.textContent("pre.note")).includes("— "), "the checkpoint is shown with its signature");
  await shot(operator, "07b-event-verified");
  await operator.click("nav >> text=Log");
  await operator.click("button:has-text('Verify everything')");
  await operator.waitForSelector(".notice.good:has-text('whole')");
  await shot(operator, "07c-log");
  await operator.click("nav >> text=Accounts");
  await operator.click("text=ada");
  await shot(operator, "08-account-detail");
  await operator.click("nav >> text=Mail");
  await shot(operator, "09-mail");

  // Two sessions; one is ended from the other and is out at once.
  const phone = await visit({ viewport: { width: 390, height: 800 }, colorScheme: "dark" });
  await phone.goto("/account/sign-in");
  await shot(phone, "10-sign-in-phone-dark");
  await phone.fill("#identifier", "ada@example.com");
  await phone.fill("#password", PASSWORD);
  await phone.click("main button");
  await phone.waitForURL("**/account");
  await shot(phone, "11-account-phone-dark");
  await artist.reload();
  await artist.click("text=Sign out all others");
  await artist.waitForSelector("text=All other sessions are signed out");
  await phone.reload();
  await phone.waitForURL("**/account/sign-in**");

  // A second factor and a key, without scripts.
  const plain = await visit({ javaScriptEnabled: false, viewport: { width: 390, height: 800 } });
  const signIn = async () => {
    await plain.goto("/account/sign-in");
    await plain.fill("#identifier", "ada");
    await plain.fill("#password", PASSWORD);
    await plain.click("main button");
  };
  await signIn();
  await plain.waitForURL("**/account");
  await plain.click("nav >> text=Security");
  await shot(plain, "13-security-empty-phone");
  await plain.click("text=Add an authenticator app");
  await plain.waitForSelector("svg[viewBox] path");
  await shot(plain, "14-totp-phone");
  const secret = (await plain.textContent(".panel p.mono")).replace(/\s/g, "");
  await plain.fill("#code", "000000");
  await plain.keyboard.press("Enter");
  await plain.waitForSelector("#code-error");
  await plain.fill("#code", totp(secret, 0));
  await plain.keyboard.press("Enter");
  await plain.waitForSelector("text=Your recovery codes");
  must((await plain.locator("main li").count()) === 10, "there are not ten recovery codes");
  const paper = await plain.locator("main li").first().textContent();
  await shot(plain, "15-recovery-codes-phone");
  await plain.click("text=I have kept them");
  await plain.fill("#name", "build server");
  await plain.fill("#scopes", "track:read track:fly");
  await plain.click("text=Make a key");
  await plain.waitForSelector("#scopes-error");
  await plain.fill("#scopes", "track:read");
  await plain.click("text=Make a key");
  await plain.waitForSelector("text=Your new API key");
  must((await plain.locator("main li").first().textContent()).startsWith("ftm_"), "the key has no prefix");
  await plain.click("main a.button");
  await shot(plain, "16-security-phone");
  await plain.click("text=Sign out");
  await signIn();
  await plain.waitForSelector("text=Your password was right");
  await shot(plain, "17-second-factor-phone");
  await plain.fill("#code", "000000");
  await plain.keyboard.press("Enter");
  await plain.waitForSelector("#code-error");
  await plain.fill("#code", totp(secret, 1));
  await plain.keyboard.press("Enter");
  await plain.waitForURL("**/account");
  // The last factor is not removed without a warning.
  await plain.click("nav >> text=Security");
  await plain.click("main table button.danger >> nth=0");
  await plain.waitForSelector("text=Remove the last second factor?");
  await shot(plain, "18-last-factor-phone");
  await plain.click("text=Keep it");
  await plain.click("text=Sign out");
  await signIn();
  await plain.fill("#code", paper.trim().toUpperCase());
  await plain.keyboard.press("Enter");
  await plain.waitForURL("**/account");

  await artist.click("text=Sign out");
  await artist.waitForSelector("text=You are signed out");
  const gone = await artist.evaluate(async () => (await fetch("/auth/profile")).status);
  must(gone === 401, `after signing out the profile was answered with ${gone}`);
  await operator.emulateMedia({ colorScheme: "dark" });
  await operator.goto("/console");
  await shot(operator, "12-live-dark");

  await browser.close();
  must(problems.length === 0, problems.join("\n"));
  console.log("journey complete");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
