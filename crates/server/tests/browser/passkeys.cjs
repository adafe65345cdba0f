// Passkeys in a real Chromium with its virtual authenticator, and the pages held against axe-core.
"use strict";
const common = require("./common.cjs");

const { must, shot } = common;
const { BASE, PASSWORD } = process.env;

(async () => {
  const browser = await common.launch();
  const visit = (options) => common.visit(browser, options);
  const check = async (page, name) => {
    const grave = await common.axe(page);
    must(grave.length === 0, `axe on ${name}: ${grave.join("\n")}`);
  };
  const authenticator = async (page) => {
    const cdp = await page.context().newCDPSession(page);
    await cdp.send("WebAuthn.enable");
    const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
      options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
    });
    return { cdp, authenticatorId };
  };
  const password = async (page) => {
    await page.fill("#identifier", "ada");
    await page.fill("#password", PASSWORD);
    await page.click("form[action='/account/sign-in'] button");
  };
  const sign_out = async (page) => {
    await page.context().clearCookies();
  };

  // Conditional create: after a sign-in with a password the browser may make a passkey by itself.
  const quiet = await visit();
  const able = await quiet.goto("/account/sign-in").then(() => quiet.evaluate(() => PublicKeyCredential.getClientCapabilities()));
  must(able.conditionalCreate === true, `this browser does not know conditional create: ${JSON.stringify(able)}`);
  const asked = [];
  quiet.on("response", (answer) => {
    if (answer.url().includes("/account/passkeys/upgrade")) asked.push(`${new URL(answer.url()).pathname} ${answer.status()}`);
  });
  // Chromium does it only together with a password manager, which it has none of here: what it would answer is said by a
  // stand-in, so that the page's script and the server are tried for real. (That the server takes an answer without
  // presence is tried with an authenticator in software.)
  await quiet.addInitScript(() => {
    const create = navigator.credentials.create.bind(navigator.credentials);
    window.quietly = 0;
    navigator.credentials.create = (options) => {
      if (options.mediation !== "conditional") return create(options);
      window.quietly += 1;
      return create({ ...options, mediation: undefined });
    };
  });
  const keeper = await authenticator(quiet);
  await quiet.goto("/account/sign-in");
  await password(quiet);
  await quiet.waitForURL("**/account");
  await quiet.waitForSelector("form[data-upgraded]", { state: "attached", timeout: 15_000 });
  must((await quiet.evaluate(() => window.quietly)) === 1, "the browser was not asked quietly");
  must(asked.join() === "/account/passkeys/upgrade/start 200,/account/passkeys/upgrade 201", `upgrade: ${asked.join()}`);
  await quiet.goto("/account/security");
  await shot(quiet, "passkey-0-upgraded");
  must((await quiet.textContent("main")).includes("nobody asks for it"), "the passkey is not shown as one that nobody asks for");
  await quiet.goto("/account");
  must((await quiet.locator("form[data-passkey-upgrade]").count()) === 0, "the browser would be asked again");
  // The password alone goes on to sign in; the passkey does too.
  await sign_out(quiet);
  await keeper.cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId: keeper.authenticatorId, enabled: false });
  await quiet.goto("/account/sign-in");
  await password(quiet);
  await quiet.waitForURL("**/account");
  await sign_out(quiet);
  await keeper.cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId: keeper.authenticatorId, enabled: true });
  await quiet.goto("/account/sign-in");
  await quiet.waitForURL("**/account", { timeout: 15_000 });

  // Removed here while the authenticator is not told: at its next use the page tells it (signalUnknownCredential).
  await quiet.route("**/auth/passkeys/signal", (route) => route.abort());
  await quiet.goto("/account/security");
  await quiet.click("main table button.danger >> nth=0");
  await quiet.waitForURL("**done=factor-removed");
  const kept = async () => (await keeper.cdp.send("WebAuthn.getCredentials", { authenticatorId: keeper.authenticatorId })).credentials.length;
  must((await kept()) === 1, "the authenticator forgot too early");
  await sign_out(quiet);
  await quiet.goto("/account/sign-in");
  await quiet.waitForSelector("text=No account here has this passkey any more", { timeout: 15_000 });
  await shot(quiet, "passkey-0-unknown");
  await check(quiet, "unknown passkey");
  for (let tries = 0; tries < 50 && (await kept()) > 0; tries += 1) await new Promise((done) => setTimeout(done, 100));
  must((await kept()) === 0, "the authenticator was not told that the passkey is unknown");
  await quiet.context().close();

  // Registered on the security page.
  const ada = await visit();
  const device = await authenticator(ada);
  await ada.goto("/account/sign-in");
  await check(ada, "sign-in");
  await password(ada);
  await ada.waitForURL("**/account");
  await ada.goto("/account/security");
  await check(ada, "security");
  await ada.fill("#passkey-name", "Studio laptop");
  await shot(ada, "passkey-1-security");
  await ada.click("form[data-passkey=create] button");
  await ada.waitForSelector("text=/[A-Z0-9]{4}-/i");
  await shot(ada, "passkey-2-codes");
  await ada.goto("/account/security");
  must((await ada.inputValue("input[name=name]")) === "Studio laptop", "the passkey has no name");
  const { credentials } = await device.cdp.send("WebAuthn.getCredentials", { authenticatorId: device.authenticatorId });
  must(credentials.length === 1 && credentials[0].isResidentCredential, "the passkey is not discoverable");

  // Conditional: the sign-in page signs in by itself once the person picks the passkey (the virtual one picks at once).
  await sign_out(ada);
  await ada.goto("/account/sign-in");
  await ada.waitForURL("**/account", { timeout: 15_000 });

  // By the button, and as the second factor after the password.
  await sign_out(ada);
  await device.cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId: device.authenticatorId, enabled: false });
  await ada.goto("/account/sign-in");
  await password(ada);
  await ada.waitForSelector("form[action='/account/sign-in/second']");
  await shot(ada, "passkey-3-second");
  await check(ada, "second factor");
  await device.cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId: device.authenticatorId, enabled: true });
  await ada.click("form[data-passkey=get] button");
  await ada.waitForURL("**/account");

  // Without the person's consent there is no sign-in.
  await sign_out(ada);
  await device.cdp.send("WebAuthn.setUserVerified", { authenticatorId: device.authenticatorId, isUserVerified: false });
  await ada.goto("/account/sign-in");
  await ada.click("form[data-passkey=get] button");
  await ada.waitForSelector("[data-failed]:not([hidden])");
  await shot(ada, "passkey-4-refused");
  await device.cdp.send("WebAuthn.setUserVerified", { authenticatorId: device.authenticatorId, isUserVerified: true });

  // A copy whose counter went back.
  await device.cdp.send("WebAuthn.removeCredential", { authenticatorId: device.authenticatorId, credentialId: credentials[0].credentialId });
  await device.cdp.send("WebAuthn.addCredential", { authenticatorId: device.authenticatorId, credential: { ...credentials[0], signCount: 0 } });
  await ada.goto("/account/sign-in");
  await ada.waitForSelector("h1:has-text('The passkey was not accepted')", { timeout: 15_000 });
  // Somebody has this one, so the authenticator is not told to forget it.
  must((await ada.locator("[data-passkey-unknown]").count()) === 0, "a known passkey would be forgotten");

  // Another origin: the browser itself gives nothing.
  const elsewhere = await visit({ baseURL: BASE.replace("localhost", "127.0.0.1") });
  await authenticator(elsewhere);
  await elsewhere.goto("/account/sign-in");
  await elsewhere.click("form[data-passkey=get] button");
  await elsewhere.waitForSelector("[data-failed]:not([hidden])");

  for (const [name, options] of [["dark", { colorScheme: "dark" }], ["phone", { viewport: { width: 390, height: 844 } }], ["german", { locale: "de-DE" }]]) {
    const page = await visit(options);
    await page.goto("/account/sign-in");
    await shot(page, `passkey-5-sign-in-${name}`);
    await check(page, `sign-in ${name}`);
    await page.goto("/account/sign-up");
    await check(page, `sign-up ${name}`);
    if (name === "german") must((await page.textContent("html")).includes("Passwort"), "no German");
  }
  await browser.close();
  console.log("passkeys complete");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
