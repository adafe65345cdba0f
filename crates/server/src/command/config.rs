//! `fortissimo config check|show|schema|sample|reference`.

use std::io::Write;

use clap::Subcommand;

use super::Common;
use crate::config::document;
use crate::output::Failure;

/// Check, show or explain the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Check it; warnings go to standard error
    Check,
    /// Print it with everything filled in, as TOML; secrets stay references
    Show,
    /// Print its JSON schema
    Schema,
    /// Print a commented sample file
    Sample,
    /// Print its reference page
    Reference,
}

pub(super) fn run(command: &Config, common: &Common, out: &mut impl Write) -> Result<(), Failure> {
    match command {
        Config::Check => {
            let loaded = common.load_to_serve()?;
            let mut error = std::io::stderr().lock();
            for warning in &loaded.warnings {
                let _ = writeln!(error, "warning: {warning}");
            }
            match &loaded.file {
                Some(file) => writeln!(
                    out,
                    "{} is right (keys, certificates and secrets that it names are opened by `fortissimo doctor`)",
                    file.display()
                )?,
                None => writeln!(out, "there is no configuration file; the defaults are right")?,
            }
        }
        Config::Show => {
            let written = toml::to_string(&common.load_to_serve()?.resolved.written_out());
            let text =
                written.map_err(|error| Failure::Runtime(format!("cannot be written as TOML: {error}")))?;
            out.write_all(text.as_bytes())?;
        }
        Config::Schema => out.write_all(document::schema().as_bytes())?,
        Config::Sample => out.write_all(document::sample().as_bytes())?,
        Config::Reference => out.write_all(document::reference().as_bytes())?,
    }
    Ok(())
}
