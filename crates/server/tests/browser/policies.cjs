// The operator's pages about roles, policies and reasons, in a real Chromium with scripts off, held against axe-core.
"use strict";
const common = require("./common.cjs");

const { says, hold, shot } = common;

(async () => {
  const browser = await common.launch();
  const operator = await common.enter(browser, "operator");
  const state = await operator.context().storageState();
  const check = (name, where) => common.inEveryDress(browser, operator, name, where);

  // Who may do what.
  await operator.click("nav a[href='/console/roles']");
  await operator.selectOption("#relation", "owner");
  await operator.click("main form button");
  await operator.waitForURL("**/console/roles?relation=owner");
  await says(operator, "track:read");
  await check("policies-1-roles", "/console/roles?relation=owner");

  // The history, and one of it.
  await operator.click("nav a[href='/console/policies']");
  await says(operator, "freeze the library");
  await says(operator, "thaw");
  await check("policies-2-history", "/console/policies");
  await operator.click("main table a:has-text('1')");
  await operator.waitForURL("**/console/policies/1");
  await says(operator, "newly denied");
  await check("policies-3-one", "/console/policies/1");

  // Going back asks for a reason and for a look.
  await operator.click("main form.panel button");
  await operator.waitForSelector("#comment-error");
  await operator.waitForSelector("#confirm-error");
  await shot(operator, "policies-4-refused");
  await operator.fill("#comment", "winter is back");
  await operator.check("input[name=confirm]");
  await operator.click("main form.panel button");
  await operator.waitForURL("**/console/policies?done=policies");
  await says(operator, "winter is back");

  // Why somebody can, or cannot.
  for (const [name, account, action, resource, words] of [
    ["can", "ada", "track:read", "track/7", "may do track:read"],
    ["cannot", "ada", "track:write", "track/7", "may not do track:write"],
    ["nobody", "nobody", "track:read", "track", "There is no such account"],
  ]) {
    const page = await common.visit(browser, { storageState: state });
    await page.goto("/console/explain");
    await page.fill("#account", account);
    await page.selectOption("#action", action);
    await page.fill("#resource", resource);
    await page.keyboard.press("Enter");
    await page.waitForSelector(name === "nobody" ? "#account-error" : "[role=status]");
    await says(page, words);
    await hold(page, `policies-5-explain-${name}`);
    await page.context().close();
  }
  await check("policies-6-explain", "/console/explain");
  await browser.close();
  console.log("policies complete");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
