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
            let Ok(source) = std::fs::read_to_string(file) else { continue };
            let decoded = soft_breaks_removed(&source);
            if texts.iter().all(|text| decoded.contains(text)) {
                return decoded;
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "no mail with {texts:?} in {}", folder.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Undoes the line breaks and escapes of quoted-printable that links meet.
fn soft_breaks_removed(source: &str) -> String {
    source.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=")
}

/// The code of the first link in a message.
///
/// # Panics
/// If there is none.
pub fn code_in(message: &str) -> String {
    let (_, rest) = message.split_once("code=").unwrap_or_else(|| panic!("no code in {message}"));
    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
}
