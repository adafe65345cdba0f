// An artist makes a team, puts a friend and another team into it, and the friend leaves. In a real Chromium with scripts
// switched off, by keyboard, and each page held against axe-core.
"use strict";
const common = require("./common.cjs");

const { must, says } = common;
const { BOB } = process.env;

(async () => {
  const browser = await common.launch();
  const enter = (name) => common.enter(browser, name);
  const check = (page, name, where) => common.inEveryDress(browser, page, name, where);

  const ada = await enter("ada");
  const bob = await enter("bob");
  await says(bob, BOB);

  // The way there, by keyboard only.
  await ada.goto("/account/sharing");
  await ada.focus("main a[href='/account/teams']");
  await ada.keyboard.press("Enter");
  await ada.waitForURL("**/account/teams");
  await says(ada, "You keep no team and are in none.");
  await check(ada, "teams-1-none", "/account/teams");
  // What is wrong stands beside its field.
  await ada.focus("#name");
  await ada.keyboard.press("Enter");
  await ada.waitForSelector("#name-error");
  await says(ada, "Must have 1 to 100 characters.");
  const make = async (name) => {
    await ada.goto("/account/teams");
    await ada.focus("#name");
    await ada.keyboard.type(name);
    await ada.keyboard.press("Enter");
    await ada.waitForURL("**/account/teams/*?done=team-made");
    await says(ada, name);
    return new URL(ada.url()).pathname;
  };
  const horns = await make("Horns <b>");
  const brass = await make("Brass");
  must((await bob.goto(brass)).status() === 404, "Bob sees a team that he is not in");

  await ada.goto(brass);
  await ada.focus("#member");
  await ada.keyboard.type("bob");
  await ada.keyboard.press("Enter");
  await ada.waitForSelector("#member-error");
  must((await ada.inputValue("#member")) === "bob", "what was typed is gone");
  await says(ada, "Is no active account.");
  await ada.fill("#member", BOB);
  await ada.focus("#member");
  await ada.keyboard.press("Enter");
  await ada.waitForURL(`**${brass}?done=member-added`);
  await says(ada, "bob");
  await ada.selectOption("#team", { label: "Horns <b>" });
  await ada.click("section[aria-labelledby='add-team'] button");
  await ada.waitForURL(`**${brass}?done=member-added`);
  // Two deep and no deeper.
  await ada.goto(horns);
  await ada.selectOption("#team", { label: "Brass" });
  await ada.click("section[aria-labelledby='add-team'] button");
  await ada.waitForSelector("#team-error");
  await check(ada, "teams-2-kept", brass);
  await check(ada, "teams-3-list", "/account/teams");

  // The friend sees it, changes nothing of it, and leaves.
  await bob.goto("/account/teams");
  await bob.click("main table a");
  await bob.waitForURL(`**${brass}`);
  await says(bob, "You are in this team");
  must((await bob.$$("form[action$='/add'], form[action$='/take-out'], form[action$='/remove']")).length === 0, "Bob is offered what is not his");
  await check(bob, "teams-4-inside", brass);
  await bob.click("form[action$='/leave'] button");
  await bob.waitForURL("**/account/teams?done=team-left");
  await says(bob, "You keep no team and are in none.");
  must((await bob.goto(brass)).status() === 404, "Bob sees it after he left");

  // Taken out, and dissolved.
  await ada.goto(brass);
  await ada.click("form[action$='/take-out'] button");
  await ada.waitForURL(`**${brass}?done=member-removed`);
  await says(ada, "Nobody is in this team yet.");
  await ada.click("form[action$='/remove'] button");
  await ada.waitForURL("**/account/teams?done=team-removed");
  must((await ada.goto(brass)).status() === 404, "the team is still there");
  await browser.close();
  console.log("teams complete");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
