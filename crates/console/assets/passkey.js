// Passkeys: the one thing on these pages that only a script can do. Each form with data-passkey is filled in by the
// browser's authenticator and submitted like any other form.
"use strict";
const known = typeof PublicKeyCredential === "function" && "parseRequestOptionsFromJSON" in PublicKeyCredential;
let waiting = null;

async function begin(form) {
  const fields = new FormData(form);
  const asked = await fetch(form.dataset.start, {
    method: "POST",
    body: new URLSearchParams({ form_token: fields.get("form_token"), challenge: fields.get("challenge") ?? "" }),
  });
  const answer = await asked.json();
  if (answer.location) {
    location.assign(answer.location);
    return null;
  }
  if (!asked.ok) throw new Error(answer.title);
  return answer;
}

async function ask(form, conditional) {
  const question = await begin(form);
  if (!question) return;
  const publicKey = question.options.publicKey;
  waiting?.abort();
  waiting = new AbortController();
  const credential = form.dataset.passkey === "create"
    ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey), signal: waiting.signal })
    : await navigator.credentials.get({
        publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey),
        mediation: conditional ? "conditional" : "optional",
        signal: waiting.signal,
      });
  form.elements.ceremony.value = question.ceremony;
  form.elements.credential.value = JSON.stringify(credential.toJSON());
  form.submit();
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const failed = form.querySelector("[data-failed]");
  if (!known) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    failed.hidden = true;
    try {
      await ask(form, false);
    } catch {
      failed.hidden = false;
    }
  });
  // The browser offers passkeys in the field for the name, without a question.
  if (form.dataset.conditional !== undefined && PublicKeyCredential.isConditionalMediationAvailable) {
    PublicKeyCredential.isConditionalMediationAvailable()
      .then((available) => available && ask(form, true))
      .catch(() => {});
  }
}

// Authenticators forget passkeys that were removed here.
const signal = document.querySelector("[data-passkey-signal]");
if (signal && typeof PublicKeyCredential === "function" && PublicKeyCredential.signalAllAcceptedCredentials) {
  fetch("/auth/passkeys/signal")
    .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error("no signal"))))
    .then(async ({ rpId, userId, allAcceptedCredentialIds, name, displayName }) => {
      await PublicKeyCredential.signalAllAcceptedCredentials({ rpId, userId, allAcceptedCredentialIds });
      await PublicKeyCredential.signalCurrentUserDetails({ rpId, userId, name, displayName });
    })
    .catch(() => {});
}

// A passkey that nobody here has (any more): its authenticator may forget it.
async function forget(rpId, credentialId) {
  if (known && PublicKeyCredential.signalUnknownCredential) {
    await PublicKeyCredential.signalUnknownCredential({ rpId, credentialId });
  }
}
const unknown = document.querySelector("[data-passkey-unknown]");
if (unknown) forget(unknown.dataset.rpId, unknown.dataset.passkeyUnknown).catch(() => {});

// Right after a sign-in with a password the browser may make a passkey by itself, if its password manager wants to.
// Nobody is asked, so nobody is told if nothing comes of it.
async function upgrade(form) {
  const able = known && PublicKeyCredential.getClientCapabilities ? await PublicKeyCredential.getClientCapabilities() : {};
  if (!able.conditionalCreate) return;
  const question = await begin(form);
  // What the person asks for meanwhile comes first: a browser does one thing at a time.
  if (!question || waiting) return;
  waiting = new AbortController();
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(question.options.publicKey);
  const credential = await navigator.credentials.create({ publicKey, mediation: "conditional", signal: waiting.signal });
  const answer = await fetch(form.action, {
    method: "POST",
    body: new URLSearchParams({
      form_token: form.elements.form_token.value,
      ceremony: question.ceremony,
      credential: JSON.stringify(credential.toJSON()),
    }),
  });
  if (answer.ok) form.dataset.upgraded = "";
  else await forget(question.options.publicKey.rp.id, credential.id);
}
const upgradable = document.querySelector("form[data-passkey-upgrade]");
if (upgradable) upgrade(upgradable).catch(() => {});
