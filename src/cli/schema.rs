//! `tidegate schema`: the schemas that editors complete and check YAML with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::exit::Result;
use super::{Context, output};
use crate::app::{self, Exit, schema};
use crate::manifest::schema::generate;

/// The words of `schema`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidegate schema flow                     of flows/<name>.yaml
  tidegate schema --write schemas          all of them, as files of a folder

Name a schema in a file's first line, and an editor with a YAML language server uses it:
  # yaml-language-server: $schema=../schemas/flow.schema.json")]
pub struct Schema {
    /// connector, flow or settings; all of them unless given
    kind: Option<String>,
    /// Write KIND.schema.json into this folder instead of printing
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

impl Schema {
    pub fn perform(self, context: &Context) -> Result {
        match (&self.kind, &self.write) {
            (Some(kind), None) => context.output.json(&schema::schema(kind)?)?,
            (None, None) => {
                let mut all = serde_json::Map::new();
                for kind in schema::KINDS {
                    all.insert(kind.to_owned(), schema::schema(kind)?);
                }
                context.output.json(&all)?;
            }
            (kind, Some(folder)) => {
                if let Some(kind) = kind {
                    schema::schema(kind)?;
                }
                let only = kind.as_ref().map(|kind| format!("{kind}.schema.json"));
                let wanted = |name: &String| only.as_ref().is_none_or(|only| only == name);
                for (name, text) in generate().into_iter().filter(|(name, _)| wanted(name)) {
                    let path = folder.join(name);
                    write(&path, &text)?;
                    output::note(&format!("wrote {}", path.display()))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn write(path: &Path, text: &str) -> app::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text)).map_err(|error| {
        app::Error::new(Exit::Host, "file_unwritable", format!("{} can not be written: {error}", path.display()))
            .with_help("check that this user may write there and that the disk is not full")
    })
}
