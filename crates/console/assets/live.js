// Adds events to the live table as they happen. Without this script the page shows what was there when it loaded.
"use strict";
const body = document.getElementById("events");
const state = document.getElementById("state");
const kept = 200;

function cell(row, text, className) {
  const td = row.insertCell();
  if (className) td.className = className;
  td.textContent = text;
  return td;
}

function link(td, text, href, title) {
  const a = document.createElement("a");
  a.href = href;
  if (title) a.title = title;
  a.textContent = text;
  td.replaceChildren(a);
}

function show(event) {
  document.getElementById("none")?.remove();
  const row = body.insertRow(0);
  row.className = "fresh";
  const time = document.createElement("time");
  time.dateTime = event.at;
  time.textContent = event.at.slice(0, 10) + " " + event.at.slice(11, 19);
  row.insertCell().append(time);
  link(cell(row, ""), event.kind, "/console/events/" + event.id, "");
  const tag = document.createElement("span");
  tag.className = "tag " + event.tone;
  tag.textContent = event.outcome;
  row.insertCell().append(tag);
  const who = cell(row, event.actor);
  if (event.account) link(who, event.account.slice(-12), "/console/accounts/" + event.account, event.account);
  cell(row, event.what, "wrap mono");
  cell(row, event.status);
  cell(row, event.address, "mono");
  const request = cell(row, "", "mono");
  if (event.request) link(request, event.request.slice(-12), "/console/events?request=" + event.request, event.request);
  while (body.rows.length > kept) body.deleteRow(-1);
}

const source = new EventSource("/console/events/stream");
source.addEventListener("open", () => { state.textContent = "live"; state.className = "tag good"; });
source.addEventListener("error", () => { state.textContent = "connection lost, trying again"; state.className = "tag warn"; });
source.addEventListener("audit", (message) => show(JSON.parse(message.data)));
