//! The files that pages load: in the binary, nothing from elsewhere.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

const FILES: &[(&str, &str, &str)] = &[
    ("style.css", "text/css; charset=utf-8", include_str!("../assets/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
    ("passkey.js", "text/javascript; charset=utf-8", include_str!("../assets/passkey.js")),
    ("live.js", "text/javascript; charset=utf-8", include_str!("../assets/live.js")),
];

/// One file. They change with the program only, so a browser may keep them for an hour.
pub(crate) async fn file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, media_type, content)) => {
            ([(header::CONTENT_TYPE, *media_type), (header::CACHE_CONTROL, "public, max-age=3600")], *content)
                .into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
