//! A small track service behind Fortissimo.
//!
//! It knows nothing of passwords and sessions: the gateway checks those, and vouches for the caller with a signed
//! statement (see [`caller`]). Who may have which track, the gateway decides, too; this service tells it whose a new one
//! is. What each route demands stands beside it here as well, one line per route, decided by the same policies: a route
//! of the gateway that somebody opened by mistake opens nothing.
//!
//! Settings, from the environment: `STUDIO_LISTEN` (127.0.0.1:9000), `STUDIO_GATEWAY`, the gateway's public address
//! (http://localhost:8080), `STUDIO_AUDIENCE`, this service as the gateway's routes name it (http://127.0.0.1:9000),
//! `STUDIO_DATA`, the folder for the tracks (studio-data).

mod audio;
mod caller;
mod problem;
#[cfg(test)]
mod tests;
mod tracks;

use std::path::PathBuf;
use std::sync::Arc;

use access::{Access, Bundle, Gate, PolicyFile};
use anyhow::Context;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;

use caller::{Caller, Verifier};
use problem::Refused;
use tracks::{LARGEST, Track, Tracks};

/// What every handler can ask for.
#[derive(Clone)]
struct Studio {
    verifier: Arc<Verifier>,
    tracks: Arc<Tracks>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let gateway = setting("STUDIO_GATEWAY", "http://localhost:8080");
    let audience = setting("STUDIO_AUDIENCE", "http://127.0.0.1:9000");
    let folder = PathBuf::from(setting("STUDIO_DATA", "studio-data"));
    let studio = Studio {
        verifier: Arc::new(Verifier::new(&gateway, &audience)?),
        tracks: Arc::new(
            Tracks::open(folder.clone()).with_context(|| format!("cannot use {}", folder.display()))?,
        ),
    };
    let address = setting("STUDIO_LISTEN", "127.0.0.1:9000");
    let listener = tokio::net::TcpListener::bind(&address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    axum::serve(listener, router(studio)?).await?;
    Ok(())
}

/// The policies of the gateway: the built-in ones, and those of this service.
fn policies() -> anyhow::Result<Access> {
    let file = |name: &str, text: &str| PolicyFile { name: name.to_owned(), text: text.to_owned() };
    let files = vec![
        file("studio.cedarschema", include_str!("../policies/studio.cedarschema")),
        file("studio.cedar", include_str!("../policies/studio.cedar")),
    ];
    Ok(Access::new(Bundle::from_files(files)?))
}

fn router(studio: Studio) -> anyhow::Result<Router> {
    let tracks = Arc::clone(&studio.tracks);
    let gate = Gate::new(policies()?).knowing(move |subject, track| {
        let stands = tracks.standing(&subject, track);
        async move { Some(stands) }
    });
    // Which tracks somebody may read or have analysed, the gateway has decided by its routes: it knows the shares. What
    // this service knows by itself is whose a track is.
    Ok(Router::new()
        .route("/api/tracks", get(own_tracks).layer(gate.demand("track:read")?))
        .route("/api/tracks", post(upload).layer(gate.demand("playlist:write")?))
        .route("/api/tracks/{id}", get(one_track).layer(gate.demand("track:read")?))
        .route("/api/tracks/{id}", delete(discard).layer(gate.demand("track:discard")?.on("track", 2)))
        .route("/api/tracks/{id}/audio", get(listen).layer(gate.demand("track:read")?))
        .route("/api/analyze/{id}", get(analyze).layer(gate.demand("track:read")?))
        .route("/open/whoami", get(whoami))
        .route_layer(from_fn_with_state(studio.clone(), caller::vouched))
        .fallback(|| async { Refused::new(StatusCode::NOT_FOUND, "There is nothing here.") })
        .with_state(studio))
}

#[derive(Deserialize)]
struct Wish {
    title: Option<String>,
}

/// Takes the raw audio as the body.
async fn upload(
    State(Studio { tracks, .. }): State<Studio>,
    caller: Caller,
    Query(wish): Query<Wish>,
    fields: HeaderMap,
    body: Body,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Track>), Refused> {
    let title = wish.title.unwrap_or_else(|| "Untitled".to_owned());
    if title.is_empty() || title.chars().count() > 200 || title.chars().any(char::is_control) {
        return Err(Refused::new(
            StatusCode::BAD_REQUEST,
            "title: 1 to 200 characters, no control characters",
        ));
    }
    let field = |name: HeaderName| fields.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = field(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !kind.starts_with("audio/") && kind != "application/octet-stream" {
        let detail = "Send the audio itself as the body, with Content-Type audio/….";
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    if field(CONTENT_LENGTH).parse().is_ok_and(|length: u64| length > LARGEST) {
        return Err(tracks::too_large());
    }
    let track = tracks.receive(&caller.account, title, body.into_data_stream()).await?;
    // The gateway takes this out of the answer and makes the track known, with the caller as its owner. From then on it
    // decides who may have it.
    let register = (HeaderName::from_static("fortissimo-register"), format!("track/{}", track.id));
    Ok((StatusCode::CREATED, [register], Json(track)))
}

/// The caller's tracks, newest first.
async fn own_tracks(State(Studio { tracks, .. }): State<Studio>, caller: Caller) -> Json<Vec<Track>> {
    Json(tracks.of(&caller.account))
}

/// The facts of one track.
async fn one_track(
    State(Studio { tracks, .. }): State<Studio>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<Track>, Refused> {
    tracks.one(&id).map(Json)
}

/// Takes a track away. The route's demand has found that it is the caller's.
async fn discard(
    State(Studio { tracks, .. }): State<Studio>,
    Path(id): Path<String>,
) -> Result<(StatusCode, [(HeaderName, String); 1]), Refused> {
    tracks.discard(&id).await?;
    // The gateway forgets whose it was, and whom it was shared with.
    let forget = (HeaderName::from_static("fortissimo-forget"), format!("track/{id}"));
    Ok((StatusCode::NO_CONTENT, [forget]))
}

/// The bytes as they came, in pieces.
async fn listen(
    State(Studio { tracks, .. }): State<Studio>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let track = tracks.one(&id)?;
    let mut fields = HeaderMap::new();
    fields.insert(CONTENT_TYPE, track.format.media_type());
    fields.insert(CONTENT_LENGTH, track.size.into());
    let pieces = tracks.read(&track).await?;
    Ok((fields, Body::from_stream(pieces)).into_response())
}

/// What the file says about itself.
async fn analyze(
    State(Studio { tracks, .. }): State<Studio>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<serde_json::Value>, Refused> {
    let track = tracks.one(&id)?;
    Ok(Json(
        serde_json::json!({ "id": track.id, "format": track.format, "size": track.size, "sha256": track.sha256 }),
    ))
}

/// Who the gateway says is calling. Its route is open, so this shows that the service does not rely on the route.
async fn whoami(caller: Caller) -> Json<Caller> {
    Json(caller)
}
