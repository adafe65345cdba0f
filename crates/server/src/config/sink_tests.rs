//! Wrong sinks and alerts are named by file, line and field, before anybody is spoken to.

use super::{Sources, load};

fn errors(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.toml");
    std::fs::write(&path, text).unwrap();
    let prefix = format!("{}/", folder.path().display());
    let found = load(&Sources { file: Some(path), ..Sources::default() }).err().unwrap_or_default();
    found.iter().map(|one| one.to_string().replace(&prefix, "")).collect()
}

fn sink(lines: &str) -> Vec<String> {
    errors(&format!("[[sink]]\nname = \"siem\"\n{lines}\n"))
}

#[test]
fn sinks_that_can_work_are_taken() {
    let text = "[[sink]]\nname = \"a\"\nkind = \"syslog\"\naddress = \"[::1]:6514\"\nform = \"cef\"\n\
                [[sink]]\nname = \"b\"\nkind = \"elastic\"\nurl = \"https://siem.example.com\"\nindex = \"x\"\nform = \"ecs\"\n\
                [[sink]]\nname = \"c\"\nkind = \"files\"\nfolder = \"export\"\nkinds = [\"session.*\", \"key.revoked\"]\n\
                [[sink]]\nname = \"d\"\nkind = \"otlp\"\nurl = \"http://127.0.0.1:4318\"\n\
                [alerts]\noff = [\"break-glass\"]\n[[alert]]\nname = \"x\"\nkinds = [\"key.*\"]\ngroup = \"account\"\n";
    assert_eq!(errors(text), Vec::<String>::new());
}

#[test]
fn a_wrong_sink_names_its_field() {
    let cases = [
        ("kind = \"syslog\"", "address: a sink of kind \"syslog\" needs it"),
        ("kind = \"syslog\"\naddress = \"siem\"", "expected host and port"),
        ("kind = \"syslog\"\naddress = \"siem:99999\"", "expected host and port"),
        ("kind = \"splunk\"\nurl = \"https://x.example\"", "token: a sink of kind \"splunk\" needs it"),
        ("kind = \"webhook\"\nurl = \"https://x.example\"", "a webhook is signed"),
        ("kind = \"otlp\"\nurl = \"http://siem.example.com\"", "must be https"),
        ("kind = \"otlp\"\nurl = \"ftp://siem.example.com\"", "expected an address"),
        (
            "kind = \"otlp\"\nurl = \"https://user:secret@siem.example.com\"",
            "secrets stand here only by reference",
        ),
        ("kind = \"otlp\"\nurl = \"https://x.example\"\nfolder = \"f\"", "is not for sinks of kind \"otlp\""),
        ("kind = \"otlp\"\nurl = \"https://x.example\"\nclient_cert = \"c\"", "belong together"),
        ("kind = \"otlp\"\nurl = \"https://x.example\"\ntoken = \"hunter2\"", "only by reference"),
        ("kind = \"files\"\nfolder = \"f\"\nform = \"cef\"", "takes JSON"),
        ("kind = \"files\"\nfolder = \"f\"\nbatch = 0", "must be between 1 and 1000"),
        (
            "kind = \"files\"\nfolder = \"f\"\nkinds = [\"sesion.*\"]",
            "no kind of event is called \"sesion.*\"",
        ),
        ("kind = \"fiels\"\nfolder = \"f\"", "did you mean `files`?"),
    ];
    for (lines, wanted) in cases {
        let found = sink(lines);
        assert!(
            found.iter().any(|one| one.starts_with("f.toml:") && one.contains(wanted)),
            "{lines}: {found:?}"
        );
        assert!(!found.iter().any(|one| one.contains("hunter2")));
    }
    let twice = "[[sink]]\nname = \"a\"\nkind = \"files\"\nfolder = \"f\"\n".repeat(2);
    assert!(errors(&twice)[0].contains("another sink has this name"));
    let reserved = "[[sink]]\nname = \"alerts\"\nkind = \"files\"\nfolder = \"f\"\n";
    assert!(errors(reserved)[0].contains("choose another"));
}

#[test]
fn a_wrong_alert_names_its_field() {
    let cases = [
        ("[alerts]\noff = [\"brake-glass\"]", "no built-in rule is called"),
        ("[alerts]\nwebhook = \"https://x.example\"", "a webhook is signed"),
        ("[alerts]\nwebhook_key = \"env:X\"", "is missing"),
        ("[alerts]\nmail_to = [\"ops\"]", "expected at most 20 e-mail addresses"),
        ("[alerts]\nmail_to = [\"ops@example.com\"]", "needs mail.host"),
        ("[[alert]]\nname = \"X\"\nkinds = [\"key.*\"]", "lower-case letters"),
        ("[[alert]]\nname = \"x\"", "name the kinds of events"),
        ("[[alert]]\nname = \"x\"\nkinds = [\"kay.*\"]", "no kind of event is called"),
        ("[[alert]]\nname = \"x\"\nkinds = [\"key.*\"]\nthreshold = 0", "must be between 1 and 1000"),
        ("[[alert]]\nname = \"x\"\nkinds = [\"key.*\"]\nwindow = \"2d\"", "must be between 1s and 24h"),
        ("[[alert]]\nname = \"x\"\nkinds = [\"key.*\"]\noutcome = \"meh\"", "expected \"success\""),
    ];
    for (text, wanted) in cases {
        let found = errors(text);
        assert!(
            found.iter().any(|one| one.starts_with("f.toml:") && one.contains(wanted)),
            "{text}: {found:?}"
        );
    }
}
