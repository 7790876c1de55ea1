//! How the accounts are: working, wanting attention, or suspended. Their fields are in the settings and never
//! here.

use serde::Serialize;

use super::database::params;
use super::{Result, Store};

/// How one account is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConnectionState {
    /// Its name in the settings.
    pub name: String,
    /// Whether it can be used.
    pub state: Standing,
    /// Why not, in words.
    pub reason: Option<String>,
    /// When it last was tested or used in vain.
    pub checked_at: Option<i64>,
}

/// Whether an account can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing is known against it.
    Working,
    /// The service refused its credentials: its polls are stopped.
    Attention,
    /// The service stopped the account: its polls are stopped.
    Suspended,
}

impl Standing {
    /// The word that the row holds.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Working => "working",
            Standing::Attention => "attention",
            Standing::Suspended => "suspended",
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "attention" => Standing::Attention,
            "suspended" => Standing::Suspended,
            _ => Standing::Working,
        }
    }
}

impl Store {
    /// How every account is that anything is known of.
    pub async fn connection_states(&self) -> Result<Vec<ConnectionState>> {
        self.database
            .read(|sql| {
                let mut states = Vec::new();
                sql.query("SELECT name, state, reason, checked_at FROM connections ORDER BY name", &[], &mut |row| {
                    states.push(ConnectionState {
                        name: row.text(0)?.to_owned(),
                        state: Standing::from_word(row.text(1)?),
                        reason: row.opt_text(2)?.map(str::to_owned),
                        checked_at: row.opt_int(3)?,
                    });
                    Ok(())
                })?;
                Ok(states)
            })
            .await
    }

    /// Records how an account is; returns whether its standing changed.
    pub async fn set_connection(&self, state: ConnectionState, now_ms: i64) -> Result<bool> {
        self.database
            .transaction(move |sql| {
                let mut before = None;
                sql.query("SELECT state FROM connections WHERE name = $1", params![&state.name], &mut |row| {
                    before = Some(row.text(0)?.to_owned());
                    Ok(())
                })?;
                sql.execute(
                    "INSERT INTO connections (name, state, reason, checked_at, updated_at) \
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET state = excluded.state, \
                     reason = excluded.reason, checked_at = excluded.checked_at, updated_at = excluded.updated_at",
                    params![&state.name, state.state.word(), state.reason.as_deref(), state.checked_at, now_ms],
                )?;
                Ok(before.as_deref().unwrap_or("working") != state.state.word())
            })
            .await
    }
}
