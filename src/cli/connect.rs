//! `tidegate connect`: makes a connection. What is missing is asked for on a terminal, secrets unseen; elsewhere
//! it is listed.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Args;
use dialoguer::{Input, Password, Select};

use super::exit::Result;
use super::sign_in::Way;
use super::text::one_line;
use super::{Context, output, signals};
use crate::app::connect::{self, Connected, Draft, Question, Wish};
use crate::app::sign_in::Wanted;

/// The words of `connect`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidegate connect twilio --name support
  tidegate connect x --name brand --set consumer_key=... --set consumer_secret='{env: X_SECRET}'
  tidegate connect x --name brand --set consumer_key=... --set consumer_secret=... --sign-in
  tidegate connect twilio --name support --host api=https://api.dublin.ie1.twilio.com

On a terminal whatever is missing is asked for, secrets unseen. The connection is tested, then kept in the store,
its secrets sealed. The same name again changes it; another host asks for its secrets again. A value on the
command line can be read by others on this machine: better a prompt, `{env: NAME}`, `{file: PATH}` or `{vault: PATH#KEY}`.")]
pub struct Connect {
    /// What to connect to, as in `x` or `twilio`
    connector: String,
    /// What the connection is called; the connector's name unless given
    #[arg(long)]
    name: Option<String>,
    /// A field of it
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    sets: Vec<String>,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// A proxy for its requests
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// A host instead of the connector's own
    #[arg(long = "host", value_name = "NAME=URL")]
    hosts: Vec<String>,
    /// Store it even if the service does not take it now
    #[arg(long)]
    untested: bool,
    /// Then sign in at the service, by this scheme of the connector or the first that the fields are given for
    #[arg(long, value_name = "SCHEME", num_args = 0..=1)]
    sign_in: Option<Option<String>>,
    #[command(flatten)]
    way: Way,
}

impl Connect {
    pub async fn perform(self, context: Context) -> Result {
        let Connect { connector, name, sets, description, proxy, hosts, untested, sign_in, way } = self;
        let mut draft = connect::begin(&context.place, Wish { connector, name, sets, description, proxy, hosts })?;
        if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
            signals::end_questions()?;
            ask(&mut draft)?;
        }
        // Before anybody signed in there is nothing to test; after it, that is done.
        let connected = draft.store(&context.place, untested || sign_in.is_some()).await?;
        context.output.one(&connected, |connected, _| show(connected))?;
        if !connected.in_doubt.is_empty() {
            output::note(&format!(
                "warning: `{}` has several connections by now, and nothing works until these name theirs (`tidegate \
                 check` says how): {}",
                connected.connector,
                connected.in_doubt.join(", ")
            ))?;
        }
        if let (true, Some(key)) = (connected.is_new_key, &connected.key) {
            output::note(&format!(
                "its secrets are sealed with the key in {}: keep a copy of it elsewhere",
                one_line(key)
            ))?;
        }
        match sign_in {
            Some(scheme) => way.sign_in(context, Wanted { connection: connected.name, scheme }).await,
            None => Ok(ExitCode::SUCCESS),
        }
    }
}

fn ask(draft: &mut Draft) -> Result<()> {
    let questions = draft.questions();
    if !questions.is_empty() {
        let name = one_line(&draft.name);
        output::note(&format!("{}: connection `{name}`; leave empty what you do not have", one_line(&draft.title)))?;
    }
    for question in &questions {
        loop {
            let text = prompt(question)?;
            match draft.answer(&question.field, &text) {
                Ok(()) => break,
                Err(error) => output::note(&one_line(&error.message))?,
            }
        }
    }
    Ok(())
}

/// Asks one question on the terminal; nothing where it is left empty.
pub fn prompt(question: &Question) -> Result<String> {
    let mut title = one_line(&question.title);
    if let Some(description) = &question.description {
        title.push_str(&format!(" ({})", one_line(description)));
    }
    if !question.choices.is_empty() {
        let first =
            question.default.as_ref().and_then(|default| question.choices.iter().position(|one| one == default));
        let select = Select::new().with_prompt(title).items(&question.choices).default(first.unwrap_or(0));
        let chosen = answered(select.interact())?;
        return Ok(question.choices.get(chosen).cloned().unwrap_or_default());
    }
    let text = match question.is_secret {
        true => {
            let password = Password::new().with_prompt(title).allow_empty_password(!question.is_required);
            answered(password.interact())?
        }
        false => {
            let input = Input::<String>::new().with_prompt(title).allow_empty(!question.is_required);
            let input = match &question.default {
                Some(default) => input.default(default.clone()),
                None => input,
            };
            answered(input.interact_text())?
        }
    };
    Ok(text)
}

/// What was answered. Ctrl-C at a question ends the program, and leaves the terminal as it was.
pub fn answered<T>(answer: dialoguer::Result<T>) -> Result<T> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(dialoguer::Error::IO(error)) if error.kind() == io::ErrorKind::Interrupted => signals::interrupted(),
        Err(dialoguer::Error::IO(error)) => Err(error.into()),
    }
}

fn show(connected: &Connected) -> String {
    let Connected { name, connector, works, message, is_change, .. } = connected;
    let done = if *is_change { "changed" } else { "connected" };
    let said = if *works { String::new() } else { "; it does not work yet".to_owned() };
    format!("{done} `{}` ({}): {}{said}\n", one_line(name), one_line(connector), one_line(message))
}
