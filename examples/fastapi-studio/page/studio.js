// The session cookie goes along by itself: it belongs to the same origin. The script never sees it.
"use strict";

const part = (id) => document.getElementById(id);

/** An answer's document; throws its problem's words. */
async function ask(path, options) {
  const answer = await fetch(path, options);
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Error(document.detail || document.title || `The answer was ${answer.status}.`);
  }
  return document;
}

/** One line of the list. Text goes in as text: a title may look like HTML. */
function line(track) {
  const item = document.createElement("li");
  const title = document.createElement("strong");
  title.textContent = track.title;
  const facts = document.createElement("small");
  facts.textContent = `${track.format.toUpperCase()}, ${(track.size / 1e6).toFixed(2)} MB`;
  const player = document.createElement("audio");
  player.controls = true;
  player.preload = "none";
  player.src = `/api/tracks/${encodeURIComponent(track.id)}/audio`;
  player.setAttribute("aria-label", track.title);
  item.append(title, facts, player);
  return item;
}

async function show() {
  const tracks = await ask("/api/tracks");
  part("none").hidden = tracks.length > 0;
  part("tracks").replaceChildren(...tracks.map(line));
}

async function send(event) {
  event.preventDefault();
  const form = event.target;
  const file = form.elements.file.files[0];
  const title = form.elements.title.value.trim() || file.name.slice(0, 200);
  // Browsers name no type, or not an audio type, for some music. The service looks at the bytes anyway.
  const type = file.type.startsWith("audio/") ? file.type : "application/octet-stream";
  const button = form.querySelector("button");
  button.disabled = true;
  part("said").textContent = "Uploading…";
  try {
    const path = `/api/tracks?${new URLSearchParams({ title })}`;
    const track = await ask(path, { method: "POST", headers: { "content-type": type }, body: file });
    part("said").textContent = `“${track.title}” is stored.`;
    form.reset();
    await show();
  } catch (error) {
    part("said").textContent = error.message;
  } finally {
    button.disabled = false;
  }
}

const complain = (error) => { part("said").textContent = error.message; };
part("upload").addEventListener("submit", send);
ask("/open/whoami").then((who) => { part("who").textContent = `Signed in as ${who.username}.`; }).catch(complain);
show().catch(complain);
