//! A real service behind the gateway, with real music.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use testkit::{Program, Service, Settings, free_port, python};

use crate::{repository, start};

/// The Python example behind the gateway, and the gateway.
pub(crate) struct Studio {
    pub(crate) program: Program,
    pub(crate) service: Service,
    _tracks: tempfile::TempDir,
}

/// Starts both; `None` without Python.
pub(crate) fn studio() -> Option<Studio> {
    let python = python()?;
    let (port, gateway) = (free_port(), free_port());
    let tracks = tempfile::tempdir().unwrap();
    let routes = format!(
        "[[route]]\npath = \"/api/tracks\"\nmethods = [\"POST\"]\nupstream = \"http://127.0.0.1:{port}\"\naccess = \"playlist:write\"\n\
         [[route]]\npath = \"/api/tracks\"\nmethods = [\"GET\"]\nupstream = \"http://127.0.0.1:{port}\"\naccess = \"track:read\"\n\
         [[route]]\npath = \"/api/tracks/{{id}}/audio\"\nmethods = [\"GET\"]\nupstream = \"http://127.0.0.1:{port}\"\naccess = \"track:read on track/{{id}}\"\n\
         [[route]]\npath = \"/open/**\"\nupstream = \"http://127.0.0.1:{port}\"\naccess = \"public\"\n"
    );
    let program = start(Settings { sections: routes, ..Settings::default() });
    let _ = gateway;
    let service = Service::start(
        Command::new(python)
            .args(["-m", "uvicorn", "--app-dir"])
            .arg(repository("examples/fastapi-studio"))
            .args(["app:app", "--host", "127.0.0.1", "--log-level", "warning", "--port"])
            .arg(port.to_string())
            .env("STUDIO_DATA", tracks.path())
            .env("STUDIO_GATEWAY", format!("http://localhost:{}", program.port))
            .env("STUDIO_AUDIENCE", format!("http://127.0.0.1:{port}")),
        port,
    );
    Some(Studio { program, service, _tracks: tracks })
}

/// Two seconds of a sine tone in a format, made by ffmpeg.
fn music(format: &str) -> Bytes {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("tone.{format}"));
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "sine=frequency=440:duration=2"])
        .arg(&file)
        .status()
        .expect("ffmpeg is installed");
    assert!(made.success());
    std::fs::read(file).unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn real_tracks_travel_through_the_gateway() {
    let Some(studio) = studio() else { return };
    let program = &studio.program;
    let ada = program.artist("ada").await;
    let bob = program.artist("bob").await;
    let client = program.client();
    let (ada, bob) = (
        client.bearer(ada["access_token"].as_str().unwrap()),
        client.bearer(bob["access_token"].as_str().unwrap()),
    );
    client.upload("/api/tracks", "audio/flac", music("flac")).await.problem(401, "unauthenticated");
    for (format, media_type) in [("mp3", "audio/mpeg"), ("wav", "audio/wav"), ("flac", "audio/flac")] {
        let body = music(format);
        let track = ada.upload("/api/tracks", media_type, body.clone()).await.expect(201).json();
        let path = format!("/api/tracks/{}/audio", track["id"].as_str().unwrap());
        let back = ada.get(&path).await.expect(200);
        assert!(back.body == body, "{format}: other bytes came back");
        // The service said whose it is when it took it, and the gateway keeps Bob out.
        bob.get(&path).await.problem(404, "not-found");
        let object = format!("/v1/resources/track/{}", track["id"].as_str().unwrap());
        assert_eq!(ada.get(&object).await.expect(200).json()["relations"][0], "owner");
    }
    // What a client says about itself does not reach the service.
    let forged = [
        ("fortissimo-assertion", "e30.e30.e30"),
        ("x-forwarded-for", "203.0.113.9"),
        ("fortissimo_assertion", "x"),
    ];
    let answer = client.send(Method::GET, "/open/whoami", &forged, Bytes::new()).await;
    assert_ne!(answer.status, 200, "{}", answer.text());
    // Straight to the service, without the gateway: nobody.
    let direct = testkit::Client::new(studio.service.port).get("/api/tracks").await;
    assert_eq!(direct.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_gigabyte_flows_both_ways_with_flat_memory() {
    let Some(studio) = studio() else { return };
    let program = &studio.program;
    let ada = program.artist("ada").await;
    let token = ada["access_token"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (up, down) = (folder.path().join("up.wav"), folder.path().join("down.wav"));
    // A WAV head and 500 MiB of something that does not compress to nothing.
    let made = Command::new("sh")
        .arg("-c")
        .arg("{ printf 'RIFF\\377\\377\\377\\377WAVEfmt '; head -c 524288000 /dev/urandom; } > \"$0\"")
        .arg(&up)
        .status()
        .unwrap();
    assert!(made.success());
    let before = program.resident_kib();
    let peak = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (watched, pid) = (std::sync::Arc::clone(&peak), program.pid());
    let watch = tokio::spawn(async move {
        loop {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
            let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0);
            watched.fetch_max(kib, std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let curl = |arguments: Vec<String>| async move {
        tokio::task::spawn_blocking(move || {
            Command::new("curl").args(arguments).output().expect("curl is installed")
        })
        .await
        .unwrap()
    };
    let base = format!("http://localhost:{}/api/tracks", program.port);
    let bearer = format!("authorization: Bearer {token}");
    let options = |more: &[&str]| -> Vec<String> {
        ["-sS", "--fail-with-body", "-H", &bearer].iter().chain(more).map(ToString::to_string).collect()
    };
    let sent =
        curl(options(&["-H", "content-type: audio/wav", "-T", up.to_str().unwrap(), "-X", "POST", &base]))
            .await;
    let answer = String::from_utf8_lossy(&sent.stdout).into_owned();
    assert!(sent.status.success(), "{answer} {}", String::from_utf8_lossy(&sent.stderr));
    let track: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let audio = format!("{base}/{}/audio", track["id"].as_str().unwrap());
    let got = curl(options(&["-o", down.to_str().unwrap(), &audio])).await;
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
    watch.abort();
    let same = Command::new("cmp").arg(&up).arg(&down).status().unwrap();
    assert!(same.success(), "other bytes came back");
    let grown = peak.load(std::sync::atomic::Ordering::Relaxed).saturating_sub(before);
    assert!(grown < 64 * 1024, "memory grew by {grown} KiB while 500 MiB flowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_down_or_dies_is_told_apart() {
    let dead = free_port();
    let dying = free_port();
    let routes = format!(
        "[[route]]\npath = \"/down/**\"\nupstream = \"http://127.0.0.1:{dead}\"\naccess = \"public\"\n\
         [[route]]\npath = \"/dying/**\"\nupstream = \"http://127.0.0.1:{dying}\"\naccess = \"public\"\n"
    );
    let program = start(Settings { sections: routes, ..Settings::default() });
    let client = program.client();
    client.get("/down/x").await.problem(502, "bad-gateway");

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", dying)).await.unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf").await;
        }
    });
    let broken = client.try_send(Method::GET, "/dying/x", &[], Bytes::new()).await;
    assert!(broken.is_err(), "a cut answer must not look whole: {broken:?}");
    // The gateway itself goes on.
    client.get("/account/sign-in").await.expect(200);
}
