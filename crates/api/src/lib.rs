//! JSON routes and the OpenAPI document. Thin: proof in, capability call, answer out.
