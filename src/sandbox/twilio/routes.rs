//! Which operation a method and a path mean.

use axum::http::Method;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Operation {
    FetchAccount,
    SendSms,
    ListSms,
    FetchMessage,
    UpdateMessage,
    DeleteMessage,
    SendFeedback,
    ListMedia,
    FetchMedia,
    DeleteMedia,
    ListAccounts,
    ListNumbers,
    StartCall,
    ListCalls,
    ListRecordings,
    LookupNumber,
    StartVerification,
    FetchVerification,
    CheckVerification,
    ListServices,
    ListTemplates,
}

/// In the order of the operations.
pub(super) const NAMES: &[&str] = &[
    "fetch_account",
    "send_sms",
    "list_sms",
    "fetch_message",
    "update_message",
    "delete_message",
    "send_feedback",
    "list_media",
    "fetch_media",
    "delete_media",
    "list_accounts",
    "list_numbers",
    "start_call",
    "list_calls",
    "list_recordings",
    "lookup_number",
    "start_verification",
    "fetch_verification",
    "check_verification",
    "list_services",
    "list_templates",
];

/// The operation, and the variable part of the path: a sid, or for media `SM…/Media/ME…`.
pub(super) fn route<'a>(method: &Method, path: &'a str) -> Option<(Operation, &'a str)> {
    match path.strip_prefix("/2010-04-01/Accounts") {
        Some(rest) => classic(method, rest.strip_suffix(".json").unwrap_or(rest)),
        None => product(method, path),
    }
}

fn classic<'a>(method: &Method, rest: &'a str) -> Option<(Operation, &'a str)> {
    if rest.is_empty() {
        return (method == Method::GET).then_some((Operation::ListAccounts, ""));
    }
    let rest = rest.strip_prefix('/')?;
    let (account, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if account.is_empty() {
        return None;
    }
    let operation = match (method.as_str(), rest) {
        ("GET", "") => Operation::FetchAccount,
        ("POST", "Messages") => Operation::SendSms,
        ("GET", "Messages") => Operation::ListSms,
        ("POST", "Calls") => Operation::StartCall,
        ("GET", "Calls") => Operation::ListCalls,
        ("GET", "Recordings") => Operation::ListRecordings,
        ("GET", "IncomingPhoneNumbers") => Operation::ListNumbers,
        _ => return of_message(method, rest.strip_prefix("Messages/")?),
    };
    Some((operation, account))
}

fn of_message<'a>(method: &Method, rest: &'a str) -> Option<(Operation, &'a str)> {
    let (sid, below) = rest.split_once('/').unwrap_or((rest, ""));
    if sid.is_empty() {
        return None;
    }
    let operation = match (method.as_str(), below) {
        ("GET", "") => Operation::FetchMessage,
        ("POST", "") => Operation::UpdateMessage,
        ("DELETE", "") => Operation::DeleteMessage,
        ("POST", "Feedback") => Operation::SendFeedback,
        ("GET", "Media") => Operation::ListMedia,
        ("GET", medium) if medium.starts_with("Media/") => Operation::FetchMedia,
        ("DELETE", medium) if medium.starts_with("Media/") => Operation::DeleteMedia,
        _ => return None,
    };
    Some((operation, rest))
}

fn product<'a>(method: &Method, path: &'a str) -> Option<(Operation, &'a str)> {
    if let Some(number) = path.strip_prefix("/v2/PhoneNumbers/") {
        return (method == Method::GET && !number.is_empty()).then_some((Operation::LookupNumber, number));
    }
    if let Some(rest) = path.strip_prefix("/v2/Services/") {
        let (service, below) = rest.split_once('/')?;
        return match (method.as_str(), below) {
            ("POST", "Verifications") => Some((Operation::StartVerification, service)),
            ("POST", "VerificationCheck") => Some((Operation::CheckVerification, service)),
            ("GET", below) => {
                let verification = below.strip_prefix("Verifications/").filter(|asked| !asked.is_empty())?;
                Some((Operation::FetchVerification, verification))
            }
            _ => None,
        };
    }
    match (method.as_str(), path) {
        ("GET", "/v1/Services") => Some((Operation::ListServices, "")),
        ("GET", "/v1/Content") => Some((Operation::ListTemplates, "")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_name_and_a_path() {
        let account = "/2010-04-01/Accounts/AC1";
        let routes = [
            ("GET", format!("{account}.json"), "fetch_account", "AC1"),
            ("POST", format!("{account}/Messages.json"), "send_sms", "AC1"),
            ("GET", format!("{account}/Messages"), "list_sms", "AC1"),
            ("GET", format!("{account}/Messages/SM1.json"), "fetch_message", "SM1"),
            ("POST", format!("{account}/Messages/SM1.json"), "update_message", "SM1"),
            ("DELETE", format!("{account}/Messages/SM1.json"), "delete_message", "SM1"),
            ("POST", format!("{account}/Messages/SM1/Feedback.json"), "send_feedback", "SM1/Feedback"),
            ("GET", format!("{account}/Messages/SM1/Media.json"), "list_media", "SM1/Media"),
            ("GET", format!("{account}/Messages/SM1/Media/ME1"), "fetch_media", "SM1/Media/ME1"),
            ("DELETE", format!("{account}/Messages/SM1/Media/ME1.json"), "delete_media", "SM1/Media/ME1"),
            ("GET", "/2010-04-01/Accounts.json".to_owned(), "list_accounts", ""),
            ("GET", format!("{account}/IncomingPhoneNumbers.json"), "list_numbers", "AC1"),
            ("POST", format!("{account}/Calls.json"), "start_call", "AC1"),
            ("GET", format!("{account}/Calls.json"), "list_calls", "AC1"),
            ("GET", format!("{account}/Recordings.json"), "list_recordings", "AC1"),
            ("GET", "/v2/PhoneNumbers/%2B41".to_owned(), "lookup_number", "%2B41"),
            ("POST", "/v2/Services/VA1/Verifications".to_owned(), "start_verification", "VA1"),
            ("GET", "/v2/Services/VA1/Verifications/VE1".to_owned(), "fetch_verification", "VE1"),
            ("POST", "/v2/Services/VA1/VerificationCheck".to_owned(), "check_verification", "VA1"),
            ("GET", "/v1/Services".to_owned(), "list_services", ""),
            ("GET", "/v1/Content".to_owned(), "list_templates", ""),
        ];
        assert_eq!(routes.len(), NAMES.len());
        for (method, path, name, argument) in &routes {
            let found = route(&method.parse().unwrap(), path);
            let found = found.map(|(operation, argument)| (NAMES[operation as usize], argument));
            assert_eq!(found, Some((*name, *argument)), "{method} {path}");
        }
        for (method, path) in [("PUT", "/v1/Services"), ("GET", "/v3/Content"), ("DELETE", "/2010-04-01/Accounts/AC1")]
        {
            assert_eq!(route(&method.parse().unwrap(), path), None, "{method} {path}");
        }
    }
}
