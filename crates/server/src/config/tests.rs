use super::*;

fn with(file: Option<&str>, environment: &[(&str, &str)], flags: Flags) -> Result<Loaded, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.toml");
    std::fs::write(&path, file.unwrap_or_default()).unwrap();
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let prefix = format!("{}/", folder.path().display());
    load(&Sources { file: Some(path), environment, flags, beside: false })
        .map_err(|findings| findings.iter().map(|one| one.to_string().replace(&prefix, "")).collect())
}

fn errors(file: &str) -> Vec<String> {
    with(Some(file), &[], Flags::default()).err().unwrap_or_default()
}

#[test]
fn an_empty_file_is_the_embedded_default() {
    let loaded = with(Some(""), &[], Flags::default()).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.resolved.public_url.to_string(), "http://localhost:8080");
    assert_eq!(loaded.resolved.database_url.to_string(), "sqlite:fortissimo-data/fortissimo.db");
    let hosts: Vec<&str> = loaded.resolved.trusted_hosts.iter().map(value::HostPattern::as_str).collect();
    assert_eq!(hosts, ["localhost", "127.0.0.1", "[::1]"]);
}

#[test]
fn the_names_that_others_rely_on_are_kept() {
    let text = r#"
        [server]
        listen = "127.0.0.1:8080"
        ops_listen = "127.0.0.1:9090"
        data_dir = "fortissimo-data"
        public_url = "http://localhost:8080"
        trusted_hosts = ["localhost"]
        trusted_proxies = []
        [database]
        url = "sqlite:fortissimo-data/fortissimo.db"
        [[route]]
        host = "app.example.com"
        path = "/api/v1/tracks/{id}"
        methods = ["GET"]
        upstream = "http://127.0.0.1:9000"
        access = "track:read on track/{id}"
        inspect = "block"
        [limits]
        enabled = true
    "#;
    let loaded = with(Some(text), &[], Flags::default()).unwrap();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn each_mistake_is_named_with_its_place_and_remedy() {
    let cases = [
        ("[server]\nlisten = ", "f.toml:2:10: string values must be quoted, expected literal string"),
        ("[server]\n  lisen = \"127.0.0.1:1\"", "f.toml:2:3: unknown key `lisen`; did you mean `listen`?"),
        ("[servr]\nlisten = 1", "f.toml:1:2: unknown key `servr`; did you mean `server`?"),
        ("[server]\nissuer = 1", "f.toml:2:1: unknown key `issuer`; it belongs to [tokens] or [[provider]]"),
        ("[log]\nlists = 1", "f.toml:2:1: unknown key `lists`; known here: format, level"),
        (
            "[server]\nlisten = 8080",
            "f.toml:2:10: invalid type: integer `8080`, expected an address and port such as \"127.0.0.1:8080\"",
        ),
        (
            "[server]\nlisten = \"localhost\"",
            "f.toml:2:10: expected an address and port such as \"127.0.0.1:8080\"",
        ),
        ("[tokens]\nalgorithm = \"HS256\"", "f.toml:2:13: unknown value `HS256`; did you mean `ES256`?"),
        (
            "[tokens]\naccess_ttl = \"15\"",
            "f.toml:2:14: expected a length of time such as \"250ms\", \"10s\", \"15m\", \"24h\" or \"7d\"",
        ),
        ("[tls]\ncert = \"x\"", "f.toml:1:1: `key` is missing"),
        ("[limits]\nenabled = \"yes\"", "f.toml:2:11: invalid type: string \"yes\", expected a boolean"),
        (
            "[mail]\npassword = \"hunter2\"",
            "f.toml:2:12: a secret stands here only by reference: \"env:NAME\" or \"file:PATH\"",
        ),
        (
            "[mail]\npassword = \"secret:smtp\"",
            "f.toml:2:12: secret: references come with the secret store; use \"env:NAME\" or \"file:PATH\" for now",
        ),
        (
            "[server]\nlisten = \"0.0.0.0:8080\"",
            "f.toml:2:10: 0.0.0.0:8080 is reachable from other machines, which demands TLS: add [tls] with cert and key, or set server.tls_terminated_by = \"proxy\" and server.trusted_proxies, or listen on 127.0.0.1",
        ),
        (
            "[server]\nlisten = \"0.0.0.0:8080\"\ntls_terminated_by = \"proxy\"",
            "f.toml:3:21: \"proxy\" needs the proxy's network in server.trusted_proxies",
        ),
        (
            "[server]\nops_listen = \"0.0.0.0:9090\"",
            "f.toml:2:14: 0.0.0.0:9090 is reachable from other machines, but health and metrics ask nobody who they are: use 127.0.0.1",
        ),
        (
            "[server]\nops_listen = \"127.0.0.1:8080\"",
            "f.toml:2:14: is the same address as server.listen; choose another port",
        ),
        (
            "[server]\ntrusted_proxies = [\"0.0.0.0/0\"]",
            "f.toml:2:19: trusts every address, so anybody can claim any address; name the proxy's own network",
        ),
        (
            "[server]\npublic_url = \"https://a.example\"",
            "f.toml:1:1: server.trusted_hosts: does not name a.example, the host of server.public_url; add it",
        ),
        (
            "[server]\npublic_url = \"http://a.example\"\ntrusted_hosts = [\"*.example\"]",
            "f.toml:2:14: must be https beyond this machine: cookies and passwords would travel in the clear",
        ),
        (
            "[cors]\norigins = [\"http://a.example\"]",
            "f.toml:2:12: http://a.example must be https: any network in between could act for the person",
        ),
        (
            "[mail]\nhost = \"smtp.example.com\"\nfrom = \"a@b.example\"\ntls = \"none\"",
            "f.toml:4:7: \"none\" is accepted for a server on this machine only; use \"starttls\" or \"implicit\"",
        ),
        ("[mail]\nuser = \"me\"", "f.toml:2:8: needs mail.password = \"env:NAME\" or \"file:PATH\""),
        ("[access]\ninvitation_max = \"31d\"", "f.toml:2:18: must be between 1m and 30d"),
        ("[access]\noffer_ttl = \"1s\"", "f.toml:2:13: must be between 1h and 90d"),
        ("[risk]\nnew_device = nan", "f.toml:2:14: a weight is a number from 0 (never counts) to 10"),
        (
            "[risk]\nstep_up_at = 0",
            "f.toml:2:14: a sum of weights is a number from 0.01 to 100 (never reached)",
        ),
        (
            "[risk]\ndeny_at = 0.2",
            "f.toml:2:11: must not be below risk.step_up_at: it would refuse what could be proven",
        ),
        (
            "[risk]\nnetworks = [{ file = \"x\", kind = \"attacks\", confidence = 2.0 }]",
            "f.toml:2:58: is a number from 0 to 1",
        ),
        (
            "[risk]\nnetworks = [{ file = \"x\", kind = \"evil\" }]",
            "f.toml:2:34: unknown value `evil`; known here: attacks, anonymous, hosting",
        ),
        (
            "[risk]\nfirst_sign_in = \"deny\"",
            "f.toml:2:17: unknown value `deny`; known here: allow, notify, step-up",
        ),
        (
            "[tokens]\nencrypted_audiences = { studio = \"x\" }",
            "f.toml:2:34: a secret stands here only by reference: \"env:NAME\" or \"file:PATH\"",
        ),
        ("[accounts]\nreset_ttl = \"2h\"", "f.toml:2:13: must be between 1m and 1h"),
        ("[accounts]\npassword_min = 8", "f.toml:2:16: must be between 15 and 64"),
        ("[accounts]\npassword_min_second_factor = 16", "f.toml:2:30: must be between 8 and 15"),
        (
            "[accounts]\nbreach_api = \"http://pwned.example\"",
            "f.toml:2:14: must be https: what goes out there says something about passwords",
        ),
        ("[accounts]\napi_keys = 0", "f.toml:2:12: must be between 1 and 200"),
        (
            "[accounts]\nproduct = \"a:b\"",
            "f.toml:2:11: must be 1 to 50 characters without control characters and colons",
        ),
        (
            "[accounts]\nbrowser_idle = \"1d\"",
            "f.toml:2:1: unknown key `browser_idle`; it belongs to [sessions]",
        ),
        ("[sessions]\nfresh_for = \"1h\"", "f.toml:2:13: must be between 1m and 10m"),
        ("[sessions]\ntwo_factor_absolute = \"30m\"", "f.toml:2:23: must be between 1h and 7d"),
        ("[sessions]\nsecond_factor_tries = 1000", "f.toml:2:23: must be between 1 and 10"),
        ("[attempts]\nbefore_delay = 100", "f.toml:2:16: must be between 1 and 10"),
        ("[attempts]\nhard_stop = 1000", "f.toml:2:13: must be between 5 and 50"),
        ("[attempts]\nfirst_delay = \"0s\"", "f.toml:2:15: must be between 1s and 15m"),
        ("[attempts]\nlongest_delay = \"2s\"", "f.toml:2:17: must be between 10s and 1d"),
        ("[attempts]\nspray_names = 0", "f.toml:2:15: must be between 3 and 50"),
        (
            "[limits.tiers]\nfree = { second = 0, minute = 1, hour = 1, day = 1 }",
            "f.toml:2:8: 0 lets nobody in; to switch rate limits off, set limits.enabled = false",
        ),
        (
            "[log]\nlevel = \"a=b=c\"",
            "f.toml:2:9: expected error, warn, info, debug or trace, or by part: \"info,gateway=debug\"",
        ),
        (
            "[[route]]\npath = \"/a\"\nupstream = \"http://127.0.0.1:1\"\nspeed = 9",
            "f.toml:4:1: unknown key `speed`; known here: host, path, methods, upstream, access, inspect, rate, max_body, response_timeout, permissions_policy",
        ),
        (
            "[[route]]\npath = \"/a\"\nupstream = \"http://127.0.0.1:8080\"",
            "f.toml:3:12: is Fortissimo itself; requests would go round in circles",
        ),
        (
            "[[route]]\npath = \"/a\"\nupstream = \"http://127.0.0.1:9000/api\"",
            "f.toml:3:12: an origin carries no path: expected \"http://127.0.0.1:9000\"",
        ),
    ];
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let found = errors(text);
        if found != [expected] {
            wrong.push(format!("{text}\nexpected {expected}\nfound    {found:#?}"));
        }
        assert!(found.iter().all(|one| !one.contains("hunter2") && !one.contains('\n')), "{found:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_the_guard_refuses_in_a_route_points_at_the_key() {
    let route = |path: &str, access: &str| {
        format!("[[route]]\npath = {path:?}\nupstream = \"http://127.0.0.1:9000\"\naccess = {access:?}\n")
    };
    let first = |text: &str| errors(text).first().cloned().unwrap_or_default();
    assert!(
        first(&route("/auth/x", "public")).starts_with("f.toml:2:8: "),
        "{}",
        first(&route("/auth/x", "public"))
    );
    assert!(first(&route("/a/**/b", "public")).starts_with("f.toml:2:8: "));
    assert!(
        first(&route("/a", "trak:read")).starts_with("f.toml:4:10: "),
        "{}",
        first(&route("/a", "trak:read"))
    );
    assert!(first(&route("/a", "track:read on track/{id}")).starts_with("f.toml:4:10: "));
    // Every wrong route is named, not only the first.
    assert_eq!(errors(&(route("/auth/x", "public") + &route("/v1", "public"))).len(), 2);
}

#[test]
fn a_public_route_that_catches_the_methods_of_a_guarded_one_is_warned_about() {
    let text = |methods: &str| {
        format!(
            "[[route]]\npath = \"/api/**\"\nmethods = [\"GET\"]\nupstream = \"http://127.0.0.1:9000\"\naccess = \"track:read\"\n\
             [[route]]\npath = \"/**\"\n{methods}upstream = \"http://127.0.0.1:9000\"\naccess = \"public\"\n"
        )
    };
    let warned = |methods: &str| {
        let warnings = with(Some(&text(methods)), &[], Flags::default()).unwrap().warnings;
        warnings.iter().any(|warning| warning.message.contains("is public, and takes the methods of /api/**"))
    };
    assert!(warned(""));
    assert!(warned("methods = [\"POST\"]\n"));
    assert!(!warned("methods = [\"GET\"]\n"), "nothing falls through");
}

#[test]
fn a_route_that_never_matches_is_warned_about() {
    let text = "[[route]]\npath = \"/**\"\nupstream = \"http://127.0.0.1:9000\"\n\
                [[route]]\npath = \"/a\"\nupstream = \"http://127.0.0.1:9000\"\n";
    let warnings = with(Some(text), &[], Flags::default()).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].message.starts_with("never matches"), "{}", warnings[0]);
}

#[test]
fn the_environment_overrides_the_file_and_the_command_line_both() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\ndata_dir = \"a\"\n";
    let environment = [
        ("FORTISSIMO__SERVER__LISTEN", "127.0.0.1:2"),
        ("FORTISSIMO__LIMITS__ENABLED", "false"),
        ("FORTISSIMO__SERVER__TRUSTED_HOSTS", "[\"localhost\", \"x.example\"]"),
        // Reads as a number, but the setting is a text.
        ("FORTISSIMO__TOKENS__AUDIENCE", "1234"),
        ("FORTISSIMO_TEST_POSTGRES", "not ours"),
    ];
    let flags = Flags { listen: Some("127.0.0.1:3".into()), ..Flags::default() };
    let loaded = with(Some(file), &environment, flags).unwrap();
    assert_eq!(loaded.config.server.listen.port(), 3);
    assert_eq!(loaded.config.server.data_dir.to_str(), Some("a"));
    assert_eq!(loaded.config.tokens.audience, "1234");
    assert!(!loaded.config.limits.enabled);
    assert_eq!(loaded.config.server.trusted_hosts.as_ref().map(Vec::len), Some(2));
    assert_eq!(loaded.resolved.database_url.to_string(), "sqlite:a/fortissimo.db");
}

#[test]
fn mistakes_in_the_environment_are_named_by_variable() {
    let environment = [
        ("FORTISSIMO__SERVER__LISEN", "127.0.0.1:2"),
        ("FORTISSIMO__SERVER__WORKERS", "many"),
        ("FORTISSIMO__SERVER__LISTEN__PORT", "1"),
        ("FORTISSIMO__", "1"),
    ];
    let found = with(None, &environment, Flags::default()).unwrap_err();
    assert_eq!(
        found,
        [
            "FORTISSIMO__: expected a name such as FORTISSIMO__SERVER__LISTEN",
            "FORTISSIMO__SERVER__LISEN: unknown key `lisen`; did you mean `listen`?",
            "FORTISSIMO__SERVER__LISTEN__PORT: invalid type: map, expected an address and port such as \"127.0.0.1:8080\"",
            "FORTISSIMO__SERVER__WORKERS: invalid type: string \"many\", expected u16",
        ]
    );
    let beyond = with(None, &[("FORTISSIMO__SERVER__LISTEN", "0.0.0.0:1")], Flags::default()).unwrap_err();
    assert!(beyond[0].starts_with("FORTISSIMO__SERVER__LISTEN: 0.0.0.0:1 is reachable"), "{beyond:?}");
}

#[test]
fn upstream_on_the_command_line_is_a_last_route_for_signed_in_people() {
    let flags = Flags { upstream: Some("http://127.0.0.1:9000".into()), ..Flags::default() };
    let loaded = with(None, &[], flags).unwrap();
    let route = &loaded.config.route[0];
    assert_eq!((route.path.as_str(), route.access.as_str()), ("/**", "authenticated"));
    let flags = Flags { upstream: Some("9000".into()), ..Flags::default() };
    let found = with(None, &[], flags).unwrap_err();
    assert!(found[0].starts_with("--upstream: expected an origin such as"), "{found:?}");
}

#[test]
fn files_that_cannot_be_read_are_one_clear_line() {
    let named = |path: &str| Sources { file: Some(path.into()), ..Sources::default() };
    let missing = load(&named("/nowhere/f.toml")).unwrap_err();
    assert!(missing[0].to_string().starts_with("/nowhere/f.toml: cannot read the configuration: "));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.toml");
    std::fs::write(&path, [0xff, 0xfe, 0]).unwrap();
    let binary = load(&Sources { file: Some(path), ..Sources::default() }).unwrap_err();
    assert!(binary[0].message.starts_with("not UTF-8 text"), "{binary:?}");
}

#[test]
fn the_resolved_configuration_reads_back_as_itself() {
    let text = "[tls]\ncert = \"c\"\nkey = \"k\"\n[mail]\nhost = \"localhost\"\ntls = \"none\"\nfrom = \"a@b.example\"\n";
    let loaded = with(Some(text), &[], Flags::default()).unwrap();
    let written = toml::to_string(&loaded.resolved.written_out()).unwrap();
    let again = with(Some(&written), &[], Flags::default()).unwrap();
    assert_eq!(again.config, loaded.resolved.written_out());
    assert_eq!(again.resolved.mail_port, 25);
    assert!(again.resolved.public_url.is_https());
}

#[test]
fn every_setting_is_documented_and_the_sample_is_valid() {
    assert_eq!(document::undocumented(), Vec::<String>::new());
    assert_eq!(with(Some(&document::sample()), &[], Flags::default()).unwrap().config, Config::default());
    // With the comment marks of its settings taken away it still has no unknown name or unreadable value.
    let live: String = document::sample()
        .lines()
        .filter(|line| !line.starts_with("# ") && *line != "#")
        .map(|line| format!("{}\n", line.trim_start_matches('#')))
        .collect();
    let loaded = toml::from_str::<Config>(&live);
    assert!(loaded.is_ok(), "{:?}", loaded.err());
}

#[test]
fn generated_files_are_up_to_date() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    for (path, wanted) in [
        ("fortissimo.sample.toml", document::sample()),
        ("docs/config.schema.json", document::schema()),
        ("docs/configuration.md", document::reference()),
    ] {
        let found = std::fs::read_to_string(format!("{root}/{path}")).unwrap_or_default();
        let command = path.rsplit('.').next().map_or("", |end| match end {
            "toml" => "sample",
            "json" => "schema",
            _ => "reference",
        });
        assert!(found == wanted, "{path} is old: run `cargo run -- config {command} > {path}`");
    }
}
