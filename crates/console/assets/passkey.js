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
