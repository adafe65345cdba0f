//! `fortissimo setup-link`.

use std::io::Write;

use access::Permit;
use identity::RequestMeta;

use super::with_services;
use crate::config::Loaded;
use crate::output::Failure;

pub(super) fn run(loaded: Loaded, out: &mut impl Write) -> Result<(), Failure> {
    with_services(loaded, async |services| {
        let meta = RequestMeta::command(&services.clock, &services.entropy);
        let link = services.identity.issue_setup_link(Permit::for_system("setup-link"), &meta).await?;
        writeln!(out, "{}", link.url.expose())?;
        writeln!(out, "works once, until {}; earlier links do not work any more", link.expires_at)?;
        Ok(())
    })
}
