// Every page of identity, in both languages, as people see it: screenshots to look at, and each held against axe-core.
"use strict";
const common = require("./common.cjs");

const { must, totp } = common;
const { PASSWORD, SETUP_CODE } = process.env;

const LOOKS = [
  { name: "light-en", locale: "en-GB" },
  { name: "dark-de", locale: "de-DE", colorScheme: "dark" },
  { name: "phone-de", locale: "de-DE", viewport: { width: 390, height: 844 } },
  { name: "phone-dark-en", locale: "en-GB", viewport: { width: 390, height: 844 }, colorScheme: "dark" },
];

// English that nobody translated shows on a German page as one of these.
const ENGLISH = /\b(the|your|with|password|sign in|account|you|and|this|device|code is|sessions?)\b/i;

(async () => {
  const browser = await common.launch();
  const faults = [];
  for (const [number, look] of LOOKS.entries()) {
    const { name: lookName, ...options } = look;
    const german = look.locale.startsWith("de");
    const page = await common.visit(browser, options);
    page.on("pageerror", (error) => faults.push(`${lookName}: ${error.message}`));
    // Looks at the page: a picture, axe, and on a German page no English sentence.
    const look_at = async (what) => {
      await common.shot(page, `identity-${what}-${lookName}`);
      for (const fault of await common.axe(page)) faults.push(`axe on ${what} ${lookName}: ${fault}`);
      must((await page.getAttribute("html", "lang")) === (german ? "de" : "en"), `${what} ${lookName}: wrong language`);
      if (german) {
        const texts = await page.locator("main :is(h1, h2, p, label, button, th, dt, li, a.button, .tag)").allInnerTexts();
        const english = texts.filter((text) => ENGLISH.test(text) && !/ftm_|track:read|@example/.test(text));
        if (english.length > 0) faults.push(`${what} ${lookName}: English on a German page: ${english.join(" | ")}`);
      }
      const wide = await common.overhang(page);
      if (wide > 0) faults.push(`${what} ${lookName}: ${wide} px wider than the window`);
    };
    const open = async (address, what) => {
      await page.goto(address);
      await look_at(what);
    };
    const fill = async (fields) => {
      for (const [field, value] of Object.entries(fields)) await page.fill(`#${field}`, value);
    };
    const main = () => page.click("main form.panel button.wide >> nth=0");
    const name = `ada${number}`;
    const nonsense = "A".repeat(43);

    // Strangers' pages.
    await open("/account/sign-up", "sign-up");
    await fill({ username: "a b", email: "nonsense", password: "short" });
    await main();
    await look_at("sign-up-errors");
    await fill({ username: name, email: `${name}@example.com`, password: "passwordpassword" });
    await main();
    await look_at("sign-up-weak");
    await fill({ password: PASSWORD });
    await main();
    await look_at("check-mail");
    const verify = await common.codeFor(`${name}@example.com`, "verify");
    await open(`/account/verify?code=${verify}`, "verify");
    await fill({ password: "not the one that was chosen" });
    await main();
    await look_at("verify-wrong");
    await fill({ password: PASSWORD });
    await main();
    await look_at("verified");
    await open("/account/sign-in", "sign-in");
    await main();
    await look_at("sign-in-empty");
    await fill({ identifier: name, password: "not the right one at all" });
    await main();
    await look_at("sign-in-wrong");
    await open("/account/forgot", "forgot");
    await fill({ email: `${name}@example.com` });
    await main();
    await look_at("forgot-sent");
    await open(`/account/reset?code=${nonsense}`, "reset");
    await fill({ password: PASSWORD });
    await main();
    await look_at("reset-bad-link");
    await open(`/account/email?code=${nonsense}`, "email-confirm");
    await open(`/account/sign-in-notice?code=${nonsense}`, "bad-link");
    await open("/account/no-such-page", "not-found");
    if (SETUP_CODE && number === 0) await open(`/account/setup?code=${SETUP_CODE}`, "setup");

    // One's own pages.
    await page.goto("/account/sign-in");
    await fill({ identifier: name, password: PASSWORD });
    await main();
    await page.waitForURL("**/account");
    await look_at("account");
    for (const [address, what] of [
      ["/account/activity", "activity"], ["/account/providers", "providers"], ["/account/password", "password"],
      ["/account/security", "security-empty"], ["/account/security/email", "email"], ["/account/confirm", "confirm"],
    ]) await open(address, what);
    await fill({ password: "not the right one at all" });
    await main();
    await look_at("confirm-wrong");
    await page.goto("/account/security");
    await page.click("form[action='/account/security/totp'] button");
    await look_at("totp");
    const secret = (await page.textContent(".panel p.mono")).replace(/\s/g, "");
    await page.fill("#code", "000000");
    await main();
    await look_at("totp-wrong");
    await page.fill("#code", totp(secret, 0));
    await main();
    await look_at("recovery-codes");
    await page.click("main a.button");
    await fill({ name: "build server", scopes: "track:read nonsense", days: "x" });
    await page.click("form[action='/account/security/api-keys'] button");
    await look_at("security-key-errors");
    await fill({ scopes: "track:read", days: "90" });
    await page.click("form[action='/account/security/api-keys'] button");
    await look_at("key");
    await page.click("main a.button");
    await look_at("security");
    await page.click("main table button.danger >> nth=0");
    await look_at("last-factor");
    await page.goto("/account/confirm");
    await look_at("confirm-code");

    // The second factor, in a browser that has signed in before and in a new one.
    await page.click(".bar .who button");
    await look_at("signed-out");
    await fill({ identifier: name, password: PASSWORD });
    await main();
    await look_at("second-factor");
    await page.fill("#code", "000000");
    await main();
    await look_at("second-factor-wrong");
    await page.fill("#code", totp(secret, 1));
    await main();
    await page.waitForURL("**/account");

    // A file on record.
    await open("/account/works", "works-empty");
    await fill({ sha256: "ba78" });
    await main();
    await look_at("works-wrong");
    await fill({ sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", name: "Song (demo)" });
    await main();
    await page.waitForURL("**/account/works?done=attested");
    await look_at("works");

    // Closed, taken back.
    await open("/account/close", "close");
    await fill({ username: "somebody-else" });
    await main();
    await look_at("close-wrong");
    await fill({ username: name });
    await main();
    await page.waitForURL("**/account/sign-in?done=closed");
    await look_at("closed");
    await open(`/account/reopen?code=${nonsense}`, "reopen");
    await main();
    await look_at("reopen-bad-link");
    await page.goto(`/account/reopen?code=${await common.codeFor(`${name}@example.com`, "reopen")}`);
    await main();
    await page.waitForURL("**/account/sign-in?done=reopened");
    await look_at("reopened");
    await page.context().close();
  }
  await browser.close();
  must(faults.length === 0, faults.join("\n"));
  console.log("identity pages complete");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
