// An artist shares a song till a date, the friend can, the artist takes it back, the friend cannot; by a link the same;
// and then gives it away. In a real Chromium with scripts switched off, and each page held against axe-core.
"use strict";
const common = require("./common.cjs");

const { must, shot, says } = common;
const { BASE } = process.env;
const PLACE = "/account/sharing/project/song";

(async () => {
  const browser = await common.launch();
  const enter = (name) => common.enter(browser, name);
  const check = (page, name, where) => common.inEveryDress(browser, page, name, where);
  const sees = async (page) => (await page.goto(PLACE)).status();

  const ada = await enter("ada");
  const bob = await enter("bob");

  // The way there, by keyboard only: the link of the song, then the form.
  await ada.goto("/account/sharing");
  await says(ada, "song");
  await ada.focus("main table a");
  await ada.keyboard.press("Enter");
  await ada.waitForURL(`**${PLACE}`);
  await says(ada, "Nobody else has access.");
  must((await sees(bob)) === 404, "Bob sees it before");

  // What is wrong stands beside its field, and what was typed is kept.
  await ada.focus("#who");
  await ada.keyboard.type("not a name");
  await ada.keyboard.press("Enter");
  await ada.waitForSelector("#who-error");
  must((await ada.inputValue("#who")) === "not a name", "what was typed is gone");
  await ada.fill("#who", "bob");
  await ada.fill("#until", "2020-02-02");
  await ada.click("form[action$='/offer'] button");
  await ada.waitForSelector("#until-error");
  await says(ada, "Must be in the future.");
  must((await ada.inputValue("#until")) === "2020-02-02", "the date is gone");
  await shot(ada, "sharing-1-errors");

  // An offer to somebody and one to nobody look the same.
  for (const name of ["nobody-at-all", "bob"]) {
    await ada.goto(PLACE);
    await ada.fill("#who", name);
    await ada.fill("#until", "2099-12-31");
    await ada.focus("#who");
    await ada.keyboard.press("Enter");
    await ada.waitForURL(`**${PLACE}?done=offered`);
    await says(ada, "Offered. If there is such an account");
    await says(ada, name);
  }
  must((await sees(bob)) === 404, "Bob sees it without having accepted");

  // Bob finds it under Sharing and accepts.
  await bob.goto("/account");
  await bob.click("nav a[href='/account/sharing']");
  await says(bob, "Offered to you");
  await says(bob, "ada");
  await check(bob, "sharing-2-offered", "/account/sharing");
  await bob.click("form[action$='/accept'] button");
  await bob.waitForURL(`**${PLACE}?done=accepted`);
  await says(bob, "You have access now.");
  await says(bob, "not yours");
  must((await bob.$$("form[action$='/offer']")).length === 0, "Bob may pass on what he only sees");

  // Ada sees till when, changes it, and makes him a collaborator.
  await ada.goto(PLACE);
  await says(ada, "bob");
  await says(ada, "2099-12-31 23:59");
  await ada.click("details.change summary");
  must((await ada.inputValue("#until-1")) === "2099-12-31", "the date is not in the form");
  await ada.fill("#until-1", "2098-01-01");
  await ada.selectOption("#as-1", "collaborator");
  await ada.click("details.change button");
  await ada.waitForURL(`**${PLACE}?done=changed`);
  await says(ada, "2098-01-01 23:59");
  await says(ada, "collaborator");
  must((await sees(bob)) === 200, "Bob lost it by a change");
  // A date that is over takes nothing away by accident.
  await ada.click("details.change summary");
  await ada.fill("#until-1", "2021-01-01");
  await ada.click("details.change button");
  await ada.waitForSelector("[role=alert]");
  await says(ada, "2098-01-01 23:59");

  // With a team, at once.
  await ada.goto(PLACE);
  await ada.click("form:has(#team) button");
  await ada.waitForURL(`**${PLACE}?done=shared`);
  await says(ada, "Team Horns");

  // A link with one right.
  await ada.check("input[name='may project:read']");
  await ada.click("form[action$='/links'] button");
  await ada.waitForSelector("#link");
  const link = await ada.inputValue("#link");
  must(link.startsWith(`${BASE}/account/join?token=`), `not a link of ours: ${link}`);
  await shot(ada, "sharing-3-link");
  await ada.goto(PLACE);
  await says(ada, "project:read");
  await check(ada, "sharing-4-dialog", PLACE);

  // Taken away, the friend cannot.
  await ada.click("button[aria-label='Take away: bob']");
  await ada.waitForURL(`**${PLACE}?done=unshared`);
  must((await sees(bob)) === 404, "Bob still sees it");

  // By the link he can again, until it is revoked.
  await bob.goto(link);
  await check(bob, "sharing-5-join", link);
  await bob.click("form[action='/account/join'] button");
  await bob.waitForURL(`**${PLACE}?done=accepted`);
  await ada.goto(PLACE);
  await says(ada, "by an invitation link");
  await ada.click("form[action$='/links/revoke'] button");
  await ada.waitForURL(`**${PLACE}?done=link-revoked`);
  must((await sees(bob)) === 404, "Bob still sees it by the link");
  await bob.goto(link);
  await bob.click("form[action='/account/join'] button");
  await bob.waitForSelector("[role=alert]");
  await says(bob, "not valid");

  // An offer that is declined, and one that is withdrawn, give nothing.
  const again = async () => {
    await ada.goto(PLACE);
    await ada.fill("#who", "bob@example.com");
    await ada.click("form[action$='/offer'] button");
    await ada.waitForURL(`**${PLACE}?done=offered`);
  };
  await again();
  await bob.goto("/account/sharing");
  await bob.click("form[action$='/accept'] button");
  await bob.waitForURL(`**${PLACE}?done=accepted`);

  // Given away; she stays as a collaborator, and he can take that.
  await ada.goto(PLACE);
  await ada.selectOption("#heir", { label: "bob" });
  await ada.click("form[action$='/transfer'] button");
  await ada.waitForURL(`**${PLACE}?done=transferred`);
  await says(ada, "not yours");
  await bob.goto(PLACE);
  must(!(await bob.textContent("main")).includes("not yours"), "it is not Bob's");
  await bob.click("button[aria-label='Take away: ada']");
  await bob.waitForURL(`**${PLACE}?done=unshared`);
  must((await sees(ada)) === 404, "Ada still sees it");
  await browser.close();
  console.log("sharing complete");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
