//! Mail that the program wrote to a plain outbox folder.

use std::path::Path;
use std::time::{Duration, Instant};

/// Waits for the newest message that contains all of the given texts; gives its decoded source.
///
/// # Panics
/// If none comes within 10 seconds.
pub async fn wait_for_mail(folder: &Path, texts: &[&str]) -> String {
    let begun = Instant::now();
    loop {
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
            .unwrap_or_default();
        // Others are being written at this moment.
        files.retain(|file: &std::path::PathBuf| file.extension().is_some_and(|ending| ending == "eml"));
        files.sort();
        for file in files.iter().rev() {
            let Some(decoded) = std::fs::read(file).ok().and_then(|source| read(&source)) else { continue };
            if texts.iter().all(|text| decoded.contains(text)) {
                return decoded;
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "no mail with {texts:?} in {}", folder.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The head as it came, and every part's text as its encoding means it.
fn read(source: &[u8]) -> Option<String> {
    let mail = mail_parser::MessageParser::default().parse(source)?;
    let parts = mail.text_bodies().chain(mail.html_bodies());
    let texts: Vec<&str> = parts.filter_map(|part| part.text_contents()).collect();
    let raw = String::from_utf8_lossy(source);
    let (head, _) = raw.split_once("\r\n\r\n").or_else(|| raw.split_once("\n\n"))?;
    Some(format!("{head}\n{}", texts.join("\n")))
}

/// The code of the first link in a message.
///
/// # Panics
/// If there is none.
pub fn code_in(message: &str) -> String {
    let (_, rest) = message.split_once("code=").unwrap_or_else(|| panic!("no code in {message}"));
    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
}
