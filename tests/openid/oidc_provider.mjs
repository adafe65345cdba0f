// A real OpenID provider (npm oidc-provider) whose login page signs in whoever is named in `?login_as` of the last
// request to /as, so that a browser goes through it without typing.
//
// usage: node oidc_provider.mjs PORT REDIRECT_URI (NODE_PATH names the folder of npm packages)
import { generateKeyPairSync } from "node:crypto";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [port, redirect] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(path.join(process.env.NODE_PATH, "oidc-provider/lib/index.js")));
const people = {
  ada: { email: "ada@example.com", email_verified: true, name: "Ada" },
  carol: { email: "carol@example.com", email_verified: true, name: "Carol" },
  shy: { name: "No address" },
  unverified: { email: "someone@example.com", email_verified: false },
};
let who = "ada";
// Not the usual algorithm: the token's hashes are of another length, too.
const signer = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey.export({ format: "jwk" });

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: "studio", client_secret: "studio-secret-that-is-long-enough-0123456789", redirect_uris: [redirect],
    grant_types: ["authorization_code"], response_types: ["code"], id_token_signed_response_alg: "ES384",
  }],
  jwks: { keys: [{ ...signer, use: "sig", alg: "ES384", kid: "p-384" }] },
  enabledJWA: { idTokenSigningAlgValues: ["ES384"] },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: false } },
  pkce: { required: () => true },
  cookies: { keys: ["only for a test"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
});
provider.use(async (ctx, next) => {
  if (ctx.path === "/as") {
    who = ctx.query.login_as;
    ctx.body = who;
    return;
  }
  if (!ctx.path.startsWith("/interaction/")) return next();
  const { prompt, params, grantId } = await provider.interactionDetails(ctx.req, ctx.res);
  if (prompt.name === "login") {
    return provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: who, remember: false } });
  }
  const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: who, clientId: params.client_id });
  grant.addOIDCScope("openid email profile");
  return provider.interactionFinished(ctx.req, ctx.res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
});
provider.listen(Number(port), "127.0.0.1");
