use super::*;

#[test]
fn periods_and_sizes_round_trip_in_their_largest_unit() {
    for (text, ms) in
        [("250ms", 250), ("10s", 10_000), ("15m", 900_000), ("24h", 86_400_000), ("7d", 604_800_000)]
    {
        let period: Period = text.parse().unwrap();
        assert_eq!(period.as_ms(), ms);
        assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
    }
    assert_eq!(Period::from_hours(24).to_string(), "1d");
    for wrong in ["", "10", "s", "-1s", "1.5h", "10 parsecs", "99999999999999999999s", "4000d"] {
        assert!(wrong.parse::<Period>().is_err(), "{wrong:?}");
    }
    assert_eq!("8MiB".parse::<Size>().unwrap(), Size::from_mib(8));
    assert_eq!(Size::from_mib(8).to_string(), "8 MiB");
    for wrong in ["", "8", "8 MB", "MiB", "99999999 TiB"] {
        assert!(wrong.parse::<Size>().is_err(), "{wrong:?}");
    }
}

#[test]
fn secrets_stand_only_by_reference_and_are_not_repeated() {
    let error = "hunter2-hunter2".parse::<SecretRef>().unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
    assert!("secret:mail".parse::<SecretRef>().unwrap_err().contains("env:NAME"));
    assert_eq!("env:SMTP".parse::<SecretRef>().unwrap(), SecretRef::Env("SMTP".into()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "s3cret\n").unwrap();
    assert_eq!(SecretRef::File(path.clone()).resolve().unwrap().expose(), "s3cret");
    std::fs::write(&path, "\n").unwrap();
    assert!(SecretRef::File(path).resolve().unwrap_err().ends_with("is empty"));
}

#[test]
fn database_urls_carry_no_password() {
    assert!("sqlite:".parse::<DatabaseUrl>().is_err());
    assert!("mysql://x".parse::<DatabaseUrl>().is_err());
    for wrong in ["postgres://u:hunter2@h/d", "postgres://h/d?password=hunter2", "postgres://u:hunter2@h?x=/"]
    {
        let error = wrong.parse::<DatabaseUrl>().unwrap_err();
        assert!(error.contains("only by reference") && !error.contains("hunter2"), "{error}");
    }
    assert!("postgres://u@h:5432/d".parse::<DatabaseUrl>().is_ok());
    assert!(matches!("env:DATABASE_URL".parse().unwrap(), DatabaseUrl::By(_)));
}

#[test]
fn hosts_are_names_and_match_exactly_or_below() {
    for wrong in ["", "http://x", "x:80", "a b", "*.", "*a.example.com", "-x.com", "x..y"] {
        assert!(wrong.parse::<HostPattern>().is_err(), "{wrong:?}");
    }
    let below: HostPattern = "*.Example.com".parse().unwrap();
    assert!(below.accepts("app.example.com") && below.accepts("a.b.EXAMPLE.com"));
    assert!(
        !below.accepts("example.com") && !below.accepts("badexample.com") && !below.accepts(".example.com")
    );
    assert!("[::1]".parse::<HostPattern>().unwrap().accepts("[::1]"));
}

#[test]
fn origins_have_no_path_user_or_odd_port() {
    for wrong in [
        "",
        "app",
        "ftp://x",
        "http://",
        "http://u@x",
        "http://x/api",
        "http://x:0",
        "http://x:",
        "http://x:99999",
    ] {
        assert!(wrong.parse::<HttpOrigin>().is_err(), "{wrong:?}");
    }
    for right in ["http://127.0.0.1:9000", "https://app.example.com", "http://[::1]:80"] {
        right.parse::<HttpOrigin>().unwrap();
    }
    assert_eq!(
        "https://App.example.com:443/".parse::<HttpOrigin>().unwrap().to_string(),
        "https://app.example.com"
    );
    assert!("http://[::1]:3".parse::<HttpOrigin>().unwrap().is_loopback());
}

#[test]
fn networks_accept_a_single_address() {
    assert_eq!("10.1.2.3/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    assert_eq!("::1".parse::<Network>().unwrap().to_string(), "::1/128");
    assert!("10.0.0.0/33".parse::<Network>().is_err());
}
