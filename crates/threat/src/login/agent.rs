//! What a user agent says about a device, without believing it.

use super::sketch::hash;

/// Longest part of a user agent that is looked at, in bytes.
const MAX_LOOKED_AT: usize = 512;
/// Products that every engine claims for compatibility; none of them names the program.
const EVERYBODYS: &[&str] =
    &["Mozilla", "AppleWebKit", "Gecko", "KHTML", "Safari", "Mobile", "Version", "Chrome"];

/// A user agent in three grains. Zero stands for "none was sent".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Agent {
    /// The text without version numbers: stays the same when a browser is updated.
    pub(crate) shape: u64,
    /// Operating system and program only.
    pub(crate) family: u64,
    /// The program's major version.
    pub(crate) version: u16,
}

impl Agent {
    /// Reads a user agent. Any text is fine; only the first 512 bytes count.
    pub fn parse(text: &str) -> Self {
        let text = cut(text.trim());
        if text.is_empty() {
            return Self::default();
        }
        let products = products(text);
        let (name, version) = program(&products);
        let system = system(text);
        Self {
            shape: hash(b"shape", shape(text).as_bytes()),
            family: hash(b"family", format!("{system}\0{name}").as_bytes()),
            version,
        }
    }

    /// Whether a user agent was sent at all.
    pub const fn is_known(&self) -> bool {
        self.shape != 0
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_LOOKED_AT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The text with the numbers of products left out and system versions cut to their first number: `Firefox/128.0`
/// becomes `Firefox/#`, `OS 17_4_1` becomes `OS 17`.
fn shape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0_u32;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if !c.is_ascii_digit() {
            out.push(c);
            continue;
        }
        // Firefox repeats its own version inside the brackets.
        let own = out.ends_with("rv:");
        if depth == 0 || own {
            out.push('#')
        } else {
            out.push(c)
        }
        let mut first = true;
        while let Some(&next) = chars.peek() {
            if next == '.' || next == '_' {
                first = false;
            } else if !next.is_ascii_digit() {
                break;
            } else if depth > 0 && first && !own {
                out.push(next);
            }
            chars.next();
        }
    }
    out
}

/// All `Name/12.3` outside of brackets, as name and major version.
fn products(text: &str) -> Vec<(&str, u16)> {
    let mut found = Vec::new();
    let mut depth = 0_i32;
    for word in text.split(' ') {
        let (opens, closes) = (word.matches('(').count(), word.matches(')').count());
        if depth == 0 && opens == 0 {
            let (name, version) = word.split_once('/').unwrap_or((word, ""));
            let digits = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("");
            found.push((name, digits.parse().unwrap_or(0)));
        }
        depth = (depth + i32::try_from(opens).unwrap_or(0) - i32::try_from(closes).unwrap_or(0)).max(0);
    }
    found
}

/// Which of the products names the program.
fn program<'a>(products: &[(&'a str, u16)]) -> (&'a str, u16) {
    let by_name = |wanted: &str| products.iter().copied().find(|(name, _)| *name == wanted);
    products
        .iter()
        .copied()
        .rfind(|(name, _)| !EVERYBODYS.contains(name))
        .or_else(|| by_name("Chrome"))
        .or_else(|| by_name("Version"))
        .or_else(|| products.last().copied())
        .unwrap_or(("", 0))
}

/// The operating system's name, without version.
fn system(text: &str) -> &'static str {
    // The order matters: Android says Linux too, and iPads say Mac OS X.
    const NAMES: &[(&str, &str)] = &[
        ("Android", "android"),
        ("iPhone", "ios"),
        ("iPad", "ios"),
        ("iOS", "ios"),
        ("Windows", "windows"),
        ("CrOS", "chromeos"),
        ("Mac OS X", "macos"),
        ("Macintosh", "macos"),
        ("macOS", "macos"),
        ("Linux", "linux"),
        ("X11", "unix"),
    ];
    NAMES.iter().find(|(sign, _)| text.contains(sign)).map_or("", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGE: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0";
    const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Mobile/15E148 Safari/604.1";

    #[test]
    fn updates_keep_the_shape_and_other_devices_do_not() {
        let updated = EDGE.replace("130", "131");
        assert_eq!(Agent::parse(EDGE).shape, Agent::parse(&updated).shape);
        assert_eq!(Agent::parse(&updated).version, 131);
        let chrome = EDGE.split(" Edg").next().unwrap();
        assert_ne!(Agent::parse(EDGE).family, Agent::parse(chrome).family);
        assert_eq!(Agent::parse(chrome).version, 130);
        let patched = IPHONE.replace("17_4_1", "17_5").replace("17.4.1", "17.5");
        assert_eq!(Agent::parse(IPHONE).shape, Agent::parse(&patched).shape);
        assert_eq!(Agent::parse(IPHONE).version, 17);
        let newer = IPHONE.replace("17_4_1", "18_0");
        assert_ne!(Agent::parse(IPHONE).shape, Agent::parse(&newer).shape);
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
        assert_eq!(Agent::parse(firefox).shape, Agent::parse(&firefox.replace("128", "129")).shape);
        assert_eq!(Agent::parse(firefox).version, 128);
    }

    #[test]
    fn any_text_is_taken() {
        for text in
            ["", " ", "/", "((((", "))))", "curl/8.5.0", "é/9999999999", &"(".repeat(5_000), &"ü".repeat(400)]
        {
            let _ = Agent::parse(text);
        }
        assert!(!Agent::parse("  ").is_known());
        assert_eq!(Agent::parse("curl/8.5.0").version, 8);
    }
}
