// Our tokens, judged by npm's `jose`, which fetches our key set itself.
//
// usage: node tokens.mjs CASES (NODE_PATH names the folder of npm packages). CASES is a JSON file: jwks_uri, issuer,
// algorithm, and cases, each with a name, the audience, the token, whether it is good, and for encrypted ones the
// private JSON Web Key and the key management algorithm. Prints what it disagrees about; agrees with exit code 0.
import { readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const load = (file) => import(pathToFileURL(path.join(process.env.NODE_PATH, file)));
const { compactDecrypt, createRemoteJWKSet, importJWK, jwtVerify } = await load("jose/dist/webapi/index.js");
const { jwks_uri: address, issuer, algorithm, cases } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const keys = createRemoteJWKSet(new URL(address));

async function opened({ token, jwk, management }) {
  if (!jwk) return token;
  const { plaintext, protectedHeader } = await compactDecrypt(token, await importJWK(jwk, management), {
    keyManagementAlgorithms: [management], contentEncryptionAlgorithms: ["A256GCM"],
  });
  if (protectedHeader.cty !== "JWT") throw new Error(`cty is ${protectedHeader.cty}`);
  return new TextDecoder().decode(plaintext);
}

let wrong = 0;
for (const one of cases) {
  let verdict;
  try {
    const options = { issuer, audience: one.audience, typ: "at+jwt", algorithms: [algorithm], requiredClaims: ["sub", "jti", "exp", "iat"] };
    const { payload } = await jwtVerify(await opened(one), keys, options);
    verdict = payload.client_id ? "good" : "without client_id";
  } catch (error) {
    verdict = `refused: ${error.code ?? error.message}`;
  }
  if ((verdict === "good") !== one.good) {
    console.log(`${one.name}: ${verdict}`);
    wrong += 1;
  }
}
console.log(`jose judged ${cases.length} tokens`);
process.exit(wrong ? 1 : 0);
