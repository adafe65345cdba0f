//! What compact JWS and JWE share: strict base64url and JSON without surprises.
