//! Who calls, and what they may: the account's own credentials, a standard API key, the test credentials.

use axum::http::StatusCode;

use super::Operation;
use super::answers::Failure;
use crate::sandbox::exchange::Call;
use crate::sandbox::{
    TWILIO_ACCOUNT_SID, TWILIO_API_KEY, TWILIO_API_KEY_SECRET, TWILIO_AUTH_TOKEN, TWILIO_SUBACCOUNT_SID,
    TWILIO_TEST_ACCOUNT_SID, TWILIO_TEST_AUTH_TOKEN, auth,
};

/// Which credentials a call came with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Account,
    ApiKey,
    Test,
}

/// Whether this caller may do this. `most` is how many calls there is room for at once.
pub(super) fn admit(operation: Operation, call: &Call<'_>, most: Option<usize>) -> Result<Caller, Failure> {
    let caller = caller(call)?;
    // A standard key reaches everything but accounts and keys.
    if caller == Caller::ApiKey && matches!(operation, Operation::FetchAccount | Operation::ListAccounts) {
        return Err(Failure { detail: Some(""), ..Failure::new(StatusCode::UNAUTHORIZED, 20003, "Authenticate") });
    }
    if caller == Caller::Test && !matches!(operation, Operation::SendSms | Operation::StartCall) {
        let message = "Resource not accessible with Test Account Credentials";
        return Err(Failure::new(StatusCode::FORBIDDEN, 20008, message));
    }
    if most.is_some_and(|most| call.in_flight > most) {
        return Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, 20429, "Too Many Requests"));
    }
    Ok(caller)
}

/// Checks user and password, and that the path names an account that they reach.
fn caller(call: &Call<'_>) -> Result<Caller, Failure> {
    let refused = |message: &str, detail| {
        Err(Failure { detail: Some(detail), ..Failure::new(StatusCode::UNAUTHORIZED, 20003, message) })
    };
    let Some((user, password)) = auth::basic(call) else {
        return refused("Authenticate", "");
    };
    let own = [TWILIO_ACCOUNT_SID, TWILIO_SUBACCOUNT_SID];
    let (caller, accounts) = match (user.as_str(), password.as_str()) {
        (TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN) => (Caller::Account, own.as_slice()),
        // A key is its account's alone.
        (TWILIO_API_KEY, TWILIO_API_KEY_SECRET) => (Caller::ApiKey, &own[..1]),
        (TWILIO_TEST_ACCOUNT_SID, TWILIO_TEST_AUTH_TOKEN) => (Caller::Test, [TWILIO_TEST_ACCOUNT_SID].as_slice()),
        (TWILIO_ACCOUNT_SID | TWILIO_API_KEY | TWILIO_TEST_ACCOUNT_SID, _) => {
            return refused("Authenticate", "Your AccountSid or AuthToken was incorrect.");
        }
        _ => {
            return refused("Authentication Error - invalid username", "Your AccountSid or AuthToken was incorrect.");
        }
    };
    let Some(below) = call.path.strip_prefix("/2010-04-01/Accounts/") else {
        // What has no account in its path belongs to the caller's.
        return Ok(caller);
    };
    match accounts.iter().any(|account| below.starts_with(account)) {
        true => Ok(caller),
        false => refused("Authenticate", ""),
    }
}
