//! Every cause that ends a connection that lasts (ACCESS-9), for every kind of connection, with the change on one node and
//! the connection on another.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use testkit::{Client, PostgresDatabase, Program, Settings};
use tokio::net::TcpStream;

use crate::live::{
    ALLOWED, Person, Socket, closed, closed_within, ended_within, listen_to, lives, open, person, registered,
    routes, studio,
};
use crate::start;

const OPERATOR: (&str, &str) = ("operator", "an operator keeps good notes");
const ARTIST: &str = "violet thunder under the bridge";
/// How long a token or a look lasts at least, and some.
const PATIENCE_S: u64 = 75;

/// Two programs on one database.
struct Nodes {
    one: Program,
    two: Program,
}

/// None where there is no PostgreSQL.
async fn nodes(tokens: &str) -> Option<(Nodes, Client)> {
    let url = testkit::test_tool("FORTISSIMO_TEST_POSTGRES")?;
    let database = PostgresDatabase::create(url.to_str().unwrap());
    let sections = format!("[tokens]\nissuer = \"http://localhost\"\n{tokens}{}", routes(studio().await));
    let settings = Settings {
        sections,
        migrate: database.owner_url,
        database: database.service_url,
        ..Settings::default()
    };
    let one = start(settings.clone());
    let operator = one.client().bearer(one.operator().await["access_token"].as_str().unwrap());
    let two = Program::start_beside(settings, &one);
    Some((Nodes { one, two }, operator))
}

async fn token(program: &Program, (name, password): (&str, &str)) -> String {
    program.sign_in(name, password).await["access_token"].as_str().unwrap().to_owned()
}

async fn put(client: &Client, path: &str, body: Value) {
    let headers = [("content-type", "application/json")];
    client.send(http::Method::PUT, path, &headers, body.to_string().into()).await.expect(200);
}

/// One connection of each kind: a WebSocket by a relation to an object, one by the session alone, an event stream of a
/// service, and our own of the audit trail.
struct Lasting {
    room: Socket,
    plain: Socket,
    stream: TcpStream,
    own: TcpStream,
}

impl Lasting {
    async fn open(port: u16, token: &str) -> Self {
        Self {
            room: open(port, "/rooms/song", token).await,
            plain: open(port, "/plain/room", token).await,
            stream: listen_to(port, "/plain/events", token, "data: beat").await,
            own: listen_to(port, "/console/events/stream", token, "200 OK").await,
        }
    }

    /// All end, the WebSockets with the code for a policy.
    async fn all_end(mut self, patience: u64) {
        let codes = tokio::join!(
            closed_within(&mut self.room, patience),
            closed_within(&mut self.plain, patience),
            ended_within(&mut self.stream, patience),
            ended_within(&mut self.own, patience),
        );
        assert_eq!((codes.0, codes.1), (1008, 1008));
    }

    async fn all_end_since(self, changed: Instant, cause: &str) {
        self.all_end(20).await;
        assert!(changed.elapsed() < ALLOWED, "{cause}: {:?}", changed.elapsed());
    }
}

/// Ada is an administrator who works on Carol's song.
async fn people(nodes: &Nodes, operator: &Client) -> (Person, Person) {
    let (ada, carol) = (person(&nodes.one, "ada").await, person(&nodes.one, "carol").await);
    for (one, role) in [(&ada, "admin"), (&carol, "user")] {
        let account = format!("/v1/accounts/{}", one.id);
        for wish in [json!({"role": role}), json!({"tier": "studio"})] {
            operator.patch(&account, wish).await.expect(204);
        }
    }
    registered(&nodes.one, "project/song", "carol");
    put(&carol.client, &share_of(&ada), json!({"relation": "collaborator"})).await;
    (ada, carol)
}

fn share_of(person: &Person) -> String {
    format!("/v1/resources/project/song/shares/{}", person.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_on_one_node_ends_every_kind_of_connection_on_the_other() {
    let Some((nodes, operator)) = nodes("").await else { return };
    let (ada, carol) = people(&nodes, &operator).await;
    let account = format!("/v1/accounts/{}", ada.id);
    // The changes above are old for the other node, too.
    tokio::time::sleep(ALLOWED).await;

    let of_ada = token(&nodes.one, ("ada", ARTIST)).await;
    let lasting = Lasting::open(nodes.two.port, &of_ada).await;
    nodes.one.client().bearer(&of_ada).post("/auth/logout", json!({})).await.expect(204);
    lasting.all_end_since(Instant::now(), "sign-out").await;

    let lasting = Lasting::open(nodes.two.port, &ada.token).await;
    operator.patch(&account, json!({"status": "disabled"})).await.expect(204);
    lasting.all_end_since(Instant::now(), "suspension").await;
    operator.patch(&account, json!({"status": "active"})).await.expect(204);

    // What only the object's relation carried ends with it; the rest goes on.
    let of_ada = token(&nodes.one, ("ada", ARTIST)).await;
    let mut lasting = Lasting::open(nodes.two.port, &of_ada).await;
    carol.client.delete(&share_of(&ada)).await.expect(200);
    let changed = Instant::now();
    assert_eq!(closed(&mut lasting.room).await, 1008);
    assert!(changed.elapsed() < ALLOWED, "revoked: {:?}", changed.elapsed());
    lives(&mut lasting.plain).await;

    // So does what only the role carried.
    operator.patch(&account, json!({"role": "user"})).await.expect(204);
    let changed = Instant::now();
    ended_within(&mut lasting.own, 20).await;
    assert!(changed.elapsed() < ALLOWED, "role: {:?}", changed.elapsed());
    lives(&mut lasting.plain).await;

    // A share that runs out, of which nobody tells.
    let end = base::Clock::system().now().plus_ms(2_500);
    let until = json!({"relation": "collaborator", "expires_at": end.to_rfc3339()});
    put(&carol.client, &share_of(&ada), until).await;
    let mut room = open(nodes.two.port, "/rooms/song", &of_ada).await;
    assert_eq!(closed(&mut room).await, 1008);
    let late = base::Clock::system().now().since_ms(end);
    assert!((-50..1_000).contains(&late), "{late} ms after its end");
    lives(&mut lasting.plain).await;
}

/// Who came by a link may never more than who gave it: neither its tier nor its account may be gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_link_opened_ends_with_the_right_of_who_gave_it() {
    let Some((nodes, operator)) = nodes("").await else { return };
    let (_, carol) = people(&nodes, &operator).await;
    let bob = person(&nodes.one, "bob").await;
    operator.patch(&format!("/v1/accounts/{}", bob.id), json!({"tier": "studio"})).await.expect(204);
    let wish = json!({"permissions": ["project:read", "collab:real_time"]});
    let made = carol.client.post("/v1/projects/song/collaboration-tokens", wish).await.expect(201).json();
    let redeem = json!({"token": made["token"]});
    bob.client.post("/v1/collaboration-tokens/redeem", redeem).await.expect(200);
    let account = format!("/v1/accounts/{}", carol.id);
    for (change, back) in [
        (json!({"tier": "free"}), json!({"tier": "studio"})),
        (json!({"status": "disabled"}), json!({"status": "active"})),
    ] {
        // What was given back is old for the other node, too.
        tokio::time::sleep(ALLOWED).await;
        let mut room = open(nodes.two.port, "/rooms/song", &bob.token).await;
        lives(&mut room).await;
        operator.patch(&account, change.clone()).await.expect(204);
        let changed = Instant::now();
        assert_eq!(closed(&mut room).await, 1008, "{change}");
        assert!(changed.elapsed() < ALLOWED, "{change}: {:?}", changed.elapsed());
        operator.patch(&account, back).await.expect(204);
    }
}

/// When a token ends, in milliseconds, as it says itself.
fn end_of(token: &str) -> i64 {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["exp"].as_i64().unwrap() * 1_000
}

fn assert_on_time(end_ms: i64, what: &str) {
    let late = base::Clock::system().now().as_millis() - end_ms;
    assert!((-50..1_000).contains(&late), "{what}: {late} ms after its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_or_a_look_opened_ends_with_it_on_every_node() {
    let Some((nodes, operator)) = nodes("access_ttl = \"1m\"\n").await else { return };
    people(&nodes, &operator).await;
    tokio::time::sleep(ALLOWED).await;
    let operator = nodes.one.client().bearer(&token(&nodes.one, OPERATOR).await);

    // An administrator looks at something private, for a reason and for a minute.
    registered(&nodes.one, "track/diary", "carol");
    let watch = "/watch/diary";
    operator.get(watch).await.problem(404, "not-found");
    let wish = json!({"reason": "a report of a stolen recording", "minutes": 1});
    let glass = operator.post("/v1/resources/track/diary/break-glass", wish).await.expect(201).json();
    let glass_end =
        base::Timestamp::parse_rfc3339(glass["expires_at"].as_str().unwrap()).unwrap().as_millis();
    // Signed in a second after that, so that the look ends first: a token's end is cut to whole seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let of_operator = token(&nodes.one, OPERATOR).await;
    let mut look = open(nodes.two.port, watch, &of_operator).await;
    let mut beside = open(nodes.two.port, "/plain/room", &of_operator).await;

    let of_ada = token(&nodes.one, ("ada", ARTIST)).await;
    let end = end_of(&of_ada);
    let (here, there) =
        (Lasting::open(nodes.one.port, &of_ada).await, Lasting::open(nodes.two.port, &of_ada).await);
    let looking = async {
        assert_eq!(closed_within(&mut look, PATIENCE_S).await, 1008);
        assert_on_time(glass_end, "the look");
        lives(&mut beside).await;
    };
    let using = async {
        tokio::join!(here.all_end(PATIENCE_S), there.all_end(PATIENCE_S));
        assert_on_time(end, "the token");
    };
    tokio::join!(looking, using);
    // And nothing begins again with it.
    nodes.two.client().bearer(&of_ada).get("/plain/room").await.problem(401, "invalid-token");
}
