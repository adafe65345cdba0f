// What the browser tests share.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const { chromium } = require("playwright-core");

const { BASE, SHOTS, MAIL, CHROMIUM, NODE_PATH, PASSWORD } = process.env;

function must(condition, what) {
  if (!condition) throw new Error(what);
}

function launch() {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

// A page of a browser that knows nothing yet.
async function visit(browser, options) {
  const context = await browser.newContext({ baseURL: BASE, viewport: { width: 1100, height: 760 }, ...options });
  return context.newPage();
}

const shot = (page, name) => page.screenshot({ path: path.join(SHOTS, `${name}.png`), fullPage: true });

// What axe-core finds fault with, a line each.
async function axe(page) {
  const script = fs.readFileSync(path.join(NODE_PATH, "axe-core/axe.min.js"), "utf8");
  const found = await page.evaluate(`${script}; axe.run(document, { resultTypes: ["violations"] })`);
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`);
}

// How many pixels a page is wider than its window.
const overhang = (page) => page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");

async function says(page, words) {
  const text = await page.textContent("main");
  must(text.includes(words), `"${words}" is missing at ${page.url()}: ${text}`);
}

// A picture of the page; axe-core finds nothing, and it is not too wide.
async function hold(page, name) {
  await shot(page, name);
  const grave = await axe(page);
  must(grave.length === 0, `axe on ${name}: ${grave.join("\n")}`);
  const wide = await overhang(page);
  must(wide <= 0, `${name} is ${wide} px too wide`);
}

// Somebody signed in, in a browser with scripts switched off.
async function enter(browser, name) {
  const page = await visit(browser, { javaScriptEnabled: false });
  await page.goto("/account/sign-in");
  await page.fill("#identifier", name);
  await page.fill("#password", PASSWORD);
  await page.click("form[action='/account/sign-in'] button");
  await page.waitForURL("**/account");
  return page;
}

const DRESSES = {
  light: {},
  dark: { colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 } },
  german: { locale: "de-DE" },
};

// What the person of that page sees at a place, with scripts for axe-core: nothing to find fault with, nothing too wide.
async function inEveryDress(browser, page, name, where) {
  const state = await page.context().storageState();
  for (const [dress, options] of Object.entries(DRESSES)) {
    const other = await visit(browser, { storageState: state, ...options });
    await other.goto(where);
    await hold(other, `${name}-${dress}`);
    await other.context().close();
  }
}

// RFC 6238 with SHA-1, six digits, 30 s; some steps from now.
function totp(base32, steps) {
  const bits = [...base32].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + steps));
  const digest = crypto.createHmac("sha1", key).update(counter).digest();
  const at = digest[19] & 15;
  return String((digest.readUInt32BE(at) & 0x7fffffff) % 1000000).padStart(6, "0");
}

// The parts of a mail as they read: only a part that says so is quoted-printable (in another, `=AB` belongs to a code).
function decoded(source) {
  const parts = source.split(/\r?\n--/).map((part) => (/^Content-Transfer-Encoding: quoted-printable/im.test(part)
    ? part.replace(/=\r?\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)))
    : part));
  return parts.join("\n--");
}

// The code of the newest link to a page under /account in a mail to that address.
async function codeFor(address, page) {
  const link = new RegExp(`/account/${page}\\?code=([A-Za-z0-9_-]{43})`);
  for (let tries = 0; tries < 100; tries += 1) {
    for (const name of fs.existsSync(MAIL) ? fs.readdirSync(MAIL).filter((name) => name.endsWith(".eml")).sort().reverse() : []) {
      const source = decoded(fs.readFileSync(path.join(MAIL, name), "utf8"));
      const found = link.exec(source);
      if (found && source.includes(`To: ${address}`)) return found[1];
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`no mail to ${address} with a link to ${page}`);
}

module.exports = { must, launch, visit, shot, says, enter, axe, overhang, hold, inEveryDress, totp, codeFor };
