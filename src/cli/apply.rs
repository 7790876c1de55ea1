//! `tidegate apply`: the project published for the hosts on a database.

use std::process::ExitCode;

use clap::Args;

use super::Context;
use super::exit::Result;
use super::output;
use super::text::count;
use crate::app::publish;

/// The words of `apply`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidegate apply --store postgres://tidegate@db.example.org/tidegate
  tidegate apply --dir /srv/checkout --output json

All files of the project are published, or none. The hosts on the database take them up within seconds; runs finish
with what they began with.")]
pub struct Apply {}

impl Apply {
    pub async fn perform(self, context: Context) -> Result {
        let published = publish::apply(&context.place).await?;
        if let Some(warning) = published.warning() {
            output::note(&format!("warning: {warning}"))?;
        }
        context.output.one(&published, |published, _| {
            let (version, number) = (published.version, |many: usize| u64::try_from(many).unwrap_or(u64::MAX));
            if !published.is_new {
                return format!("nothing to publish: version {version} is the same\n");
            }
            let (files, flows) = (count(number(published.files), "file"), count(number(published.flows.len()), "flow"));
            format!("published as version {version}: {files} with {flows}\n")
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
