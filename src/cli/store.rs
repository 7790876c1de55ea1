//! `tidegate store`: what can be done with a store as a whole.

use std::process::ExitCode;

use clap::Subcommand;
use tokio::sync::mpsc::unbounded_channel;

use super::exit::Result;
use super::table::{Form, Table};
use super::{Context, output, text};
use crate::app::copy::{self, Copy};
use crate::store::copy::Progress;

/// The words of `store`.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  tidegate store copy tidegate.db postgres://tidegate@db.example.org/tidegate")]
pub enum Store {
    /// Copy everything that a store remembers to a new one, of the other kind or of the same, and verify it
    #[command(after_help = "\
Examples:
  tidegate store copy tidegate.db postgres://tidegate@db.example.org/tidegate
  tidegate store copy postgres://tidegate@db.example.org/tidegate tidegate.db
  tidegate store copy tidegate.db other.db --output json

No host may work on either. A host on the copy goes on where the source stood, so start none on the source again:
both would do what is left. The copy is whole or not there; one that was cut off is begun anew by the same command.

Exits with 0 when both ends have the same rows, told with a digest of each table; with 3 where nothing was copied: a
host works on one of them, the source is missing or newer, the target is not empty, or the ends differ.")]
    Copy {
        /// The store to copy: a file, or the address of a PostgreSQL database
        from: String,
        /// Where to: a file or a database that has no store yet, or an empty one
        to: String,
    },
}

impl Store {
    pub async fn perform(self, context: Context) -> Result {
        let Store::Copy { from, to } = self;
        let (told, mut progress) = unbounded_channel();
        let place = context.place.clone();
        let copying = tokio::spawn(async move { copy::copy(&place, &from, &to, told).await });
        let mut said = 0;
        while let Some(step) = progress.recv().await {
            match step {
                Progress::Written { table, rows } if rows >= said + EVERY => {
                    said = rows;
                    output::note(&format!("{table}: {rows} rows so far"))?;
                }
                Progress::Written { rows, .. } if rows < said => said = 0,
                Progress::Written { .. } | Progress::Verified { rows: 0, .. } => {}
                Progress::Verified { table, rows } => output::note(&format!("{table}: {}", text::count(rows, "row")))?,
            }
        }
        let copied = copying.await.map_err(std::io::Error::other)??;
        context.output.one(&copied, shown)?;
        Ok(ExitCode::SUCCESS)
    }
}

// How many rows of a table are written between two lines about it.
const EVERY: u64 = 20_000;
// Enough to tell two digests apart by eye; all of it is in the JSON.
const DIGEST: usize = 16;

fn shown(copy: &Copy, form: Form) -> String {
    let mut table = Table::new(["table", "rows", "digest"]);
    for copied in &copy.copied.tables {
        let digest = copied.digest.get(..DIGEST).unwrap_or(&copied.digest);
        table.row([copied.table.as_str(), &copied.rows.to_string(), digest]);
    }
    let mut said = table.draw(form);
    said +=
        &format!("\ncopied {} to {}: the same at both ends\n", text::one_line(&copy.from), text::one_line(&copy.to));
    for stayed in copy.copied.stayed.iter().filter(|stayed| stayed.rows > 0) {
        said += &format!("not copied: {} of {}, {}\n", text::count(stayed.rows, "row"), stayed.table, stayed.why);
    }
    if let Some(key) = &copy.copied.sealing_key {
        said += &format!(
            "secrets stay sealed under the key {key}: a host on the copy looks for it in TIDEGATE_KEY, --key-file, or {}\n",
            text::one_line(&copy.key_file.display().to_string())
        );
    }
    said
}
