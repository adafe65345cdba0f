// Signing in with another provider, linking and unlinking, in a real Chromium.
"use strict";
const common = require("./common.cjs");

const { must, shot } = common;
const { PROVIDER, PASSWORD } = process.env;

(async () => {
  const browser = await common.launch();
  const visit = () => common.visit(browser);
  const as = (who) => fetch(`${PROVIDER}/as?login_as=${who}`);

  // A new person comes by the provider and has an account.
  await as("ada");
  const ada = await visit();
  await ada.goto("/account/sign-in?next=/account");
  await shot(ada, "provider-1-sign-in");
  await ada.click("text=Sign in with Studio ID");
  await ada.waitForURL("**/account");
  must((await ada.textContent("main")).includes("ada@example.com"), "the address is not shown");
  await ada.click("text=Linked accounts");
  await ada.waitForSelector("text=ada@example.com");
  await shot(ada, "provider-2-linked");
  // Who has no password is led to where they signed in, asked there once more, and comes back to what they were doing.
  await ada.goto("/account/confirm?next=/account/security/email");
  must((await ada.locator("#password").count()) === 0, "a password was asked for that nobody has");
  await shot(ada, "provider-4-confirm");
  const sent = ada.waitForRequest((request) => request.url().includes("max_age=0") && request.url().includes("prompt=login"));
  await ada.click("text=Sign in again with Studio ID");
  await sent;
  await ada.waitForURL("**/account/security/email");
  must((await ada.textContent("h1")).includes("Change your e-mail address"), "it did not lead back");
  // Another account there is not who is signed in here.
  await as("shy");
  await ada.context().clearCookies({ domain: "127.0.0.1" });
  await ada.goto("/account/confirm");
  await ada.click("text=Sign in again with Studio ID");
  await ada.waitForSelector("text=not linked to this one");
  await as("ada");
  await ada.context().clearCookies({ domain: "127.0.0.1" });
  await ada.goto("/account/providers");
  // The only way in cannot be removed.
  await ada.click("button:has-text('Unlink')");
  must((await ada.textContent("main")).includes("only way to sign in"), "the last way in was removed");

  // Somebody with an account links another one, and signs in with it from then on.
  await as("shy");
  const bob = await visit();
  await bob.goto("/account/sign-in");
  await bob.click("text=Sign in with Studio ID");
  await bob.waitForSelector("text=That did not work");
  must((await bob.textContent("main")).includes("vouches for no e-mail address"), "an account without an address was made");
  await shot(bob, "provider-3-refused");
  await bob.goto("/account/sign-in");
  await bob.fill("#identifier", "bob");
  await bob.fill("#password", PASSWORD);
  await bob.click("main button");
  await bob.waitForURL("**/account");
  await bob.goto("/account/providers");
  await bob.click("text=Link Studio ID");
  await bob.waitForURL("**/account/providers?done=linked");
  const again = await visit();
  await again.goto("/account/sign-in");
  await again.click("text=Sign in with Studio ID");
  await again.waitForURL("**/account");
  must((await again.textContent("main")).includes("bob@example.com"), "the linked account did not sign in");
  // Linked to somebody else already. (The provider remembers who was there; it must ask again.)
  await ada.context().clearCookies({ domain: "127.0.0.1" });
  await ada.goto("/account/providers");
  await ada.click("text=Link Studio ID");
  await ada.waitForSelector("text=linked to another account here already");
  // Unlinked, it signs in no longer.
  await bob.goto("/account/providers");
  await bob.click("button:has-text('Unlink')");
  await bob.waitForURL("**/account/providers?done=unlinked");
  const stranger = await visit();
  await stranger.goto("/account/sign-in");
  await stranger.click("text=Sign in with Studio ID");
  await stranger.waitForSelector("text=That did not work");
  await browser.close();
  console.log("providers complete");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
