// A real OpenID provider (npm oidc-provider) that keeps everything in memory, with refresh tokens to begin with: what
// `cargo xtask bench` compares our own refreshing with.
//
// usage: node oidc_bench.mjs PORT TOKENS [lean] (NODE_PATH names the folder of npm packages); writes the refresh tokens to
// standard output, one on a line, and then `ready`.
import { generateKeyPairSync } from "node:crypto";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [port, wanted] = process.argv.slice(2, 4).map(Number);
const lean = process.argv[4] === "lean";
const { Provider } = await import(pathToFileURL(path.join(process.env.NODE_PATH, "oidc-provider/lib/index.js")));

// Its own memory adapter forgets after a thousand entries and walks through a grant's tokens at every new one. This one
// does less: with it, the provider is measured without what it keeps things in.
const kept = new Map();
class Volatile {
  constructor(model) { this.model = model; }
  async upsert(id, payload) { kept.set(`${this.model}:${id}`, payload); }
  async find(id) { return kept.get(`${this.model}:${id}`); }
  async consume(id) { kept.get(`${this.model}:${id}`).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { kept.delete(`${this.model}:${id}`); }
  async findByUid() { return undefined; }
  async findByUserCode() { return undefined; }
  async revokeByGrantId() {}
}

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const provider = new Provider(`http://127.0.0.1:${port}`, {
  ...(lean && { adapter: Volatile }),
  clients: [{
    client_id: "bench", client_secret: "a-secret-of-the-bench-0123456789", redirect_uris: ["http://127.0.0.1/back"],
    grant_types: ["authorization_code", "refresh_token"], response_types: ["code"],
    token_endpoint_auth_method: "client_secret_post", id_token_signed_response_alg: "ES256",
  }],
  // One ES256 signature for each refresh, as with us.
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "ES256", kid: "bench" }] },
  rotateRefreshToken: true,
  features: { devInteractions: { enabled: false } },
  cookies: { keys: ["only for a bench"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});
const client = await provider.Client.find("bench");
const now = Math.floor(Date.now() / 1000);
for (let number = 0; number < wanted; number += 1) {
  const accountId = `account-${number}`;
  const grant = new provider.Grant({ accountId, clientId: "bench" });
  grant.addOIDCScope("openid offline_access");
  const token = new provider.RefreshToken({
    accountId, client, grantId: await grant.save(), scope: "openid offline_access", gty: "authorization_code",
    authTime: now, expiresWithSession: false,
  });
  console.log(await token.save());
}
provider.listen(port, "127.0.0.1", () => console.log("ready"));
