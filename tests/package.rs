//! Packages from outside: asked for, shown, added as a whole or not at all; ours and Cerb's.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tidegate::sandbox::{TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_NUMBER, X_BEARER_TOKEN};

use crate::connect::{Project, text};

fn shipped(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packages").join(name)).unwrap()
}

/// A package that comes with the program, its connections pointed at the local services.
fn local(project: &Project, name: &str) -> String {
    let hosts = |service: &str| format!("    hosts: {{api: \"{}\"}}\n", project.url(service));
    let package = shipped(name)
        .replace("    connector: x\n", &format!("    connector: x\n{}", hosts("x")))
        .replace("    connector: twilio\n", &format!("    connector: twilio\n{}", hosts("twilio")));
    project.write(name, &package);
    project.path(name).display().to_string()
}

fn sets(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().flat_map(|(name, value)| ["--set".to_owned(), format!("{name}={value}")]).collect()
}

fn import<'a>(file: &'a str, sets: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["package", "import", file];
    words.extend(sets.iter().map(String::as_str));
    words.extend(more);
    words
}

fn brand(token: &str) -> Vec<String> {
    sets(&[
        ("brand", "@acme -is:retweet"),
        ("phone", "+15550199001"),
        ("sender", TWILIO_NUMBER),
        ("bearer_token", X_BEARER_TOKEN),
        ("account_sid", TWILIO_ACCOUNT_SID),
        ("auth_token", token),
    ])
}

#[test]
fn a_package_is_added_as_a_whole_or_not_at_all() {
    let project = Project::new();
    let file = local(&project, "brand-watch.yaml");
    let told = project.refused(&["package", "import", &file], 2);
    assert!(told.contains("prompt_missing") && told.contains("bearer_token"), "{told}");
    let given = brand(TWILIO_AUTH_TOKEN);
    let planned = project.json(&import(&file, &given, &["--plan"]));
    let kinds: Vec<&str> = planned.as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["flow", "connection", "connection"]);
    let is_untouched = || {
        assert_eq!(project.json(&["connections", "list"]), json!([]));
        assert!(!project.path("flows").exists() || fs::read_dir(project.path("flows")).unwrap().count() == 0);
    };
    is_untouched();
    // One connection of the two that the service refuses keeps all of it away.
    let wrong = brand("0123456789abcdef0123456789abcdef");
    let told = project.refused(&import(&file, &wrong, &[]), 4);
    assert!(told.contains("401") && !told.contains("0123456789abcdef"), "{told}");
    is_untouched();
    let said = project.done(&import(&file, &given, &[]));
    assert!(said.contains("added the package brand-watch"), "{said}");
    assert_eq!(project.json(&["connections", "list"]).as_array().unwrap().len(), 2);
    let checked = project.run(&["check"]);
    assert!(checked.status.success(), "{}", text(&checked));
    let flow = fs::read_to_string(project.path("flows/brand-watch.yaml")).unwrap();
    assert!(flow.contains("@acme -is:retweet") && flow.contains("{{truncate item.text 120}}"), "{flow}");
    assert!(!flow.contains(TWILIO_AUTH_TOKEN) && !flow.contains("prompts."), "{flow}");
    let again = project.refused(&import(&file, &given, &[]), 1);
    assert!(again.contains("package_conflict") && again.contains("brand-sms"), "{again}");
    // What it does.
    let run = project.done(&["run", "brand-watch", "--item", r#"{"id": "1", "text": "Where is @acme?"}"#]);
    assert!(run.contains("succeeded"), "{run}");
    // And back: a package without secrets that another project can take.
    let exported = project.done(&["package", "export", "--name", "copy", "--flow", "brand-watch"]);
    for secret in [TWILIO_AUTH_TOKEN, X_BEARER_TOKEN] {
        assert!(!exported.contains(secret), "{exported}");
    }
    let other = Project::new();
    other.write("copy.yaml", &exported);
    let copy = other.path("copy.yaml").display().to_string();
    let given = sets(&[("brand_x_bearer_token", X_BEARER_TOKEN), ("brand_sms_auth_token", TWILIO_AUTH_TOKEN)]);
    let more = sets(&[("brand_x_consumer_key", "k")]);
    let asked = project.refused(&["package", "import", &copy, "--plan"], 2);
    let given = if asked.contains("consumer_key") { [given, more].concat() } else { given };
    other.done(&import(&copy, &given, &["--untested"]));
    assert!(other.path("flows/brand-watch.yaml").exists());
}

#[test]
fn the_other_package_that_comes_with_the_program_works() {
    let project = Project::new();
    let file = local(&project, "on-call-sms.yaml");
    let given = sets(&[
        ("on_call", "+15550199001"),
        ("sender", TWILIO_NUMBER),
        ("account_sid", TWILIO_ACCOUNT_SID),
        ("auth_token", TWILIO_AUTH_TOKEN),
    ]);
    project.done(&import(&file, &given, &[]));
    let run = project.done(&["run", "on-call", "--item", r#"{"kind": "unhealthy", "message": "no answer"}"#]);
    assert!(run.contains("succeeded"), "{run}");
}

#[test]
fn what_makes_no_sense_is_told_and_nothing_is_added() {
    let project = Project::new();
    for (package, code) in [
        ("flows: [\n", "package_invalid"),
        ("package: a\nflow: {}\n", "package_invalid"),
        (
            "package: a\nflows: {f: {trigger: {manual: true}, steps: [{set: {a: \"{{prompts.b}}\"}}]}}\n",
            "prompt_unknown",
        ),
        (
            "package: a\nprompts: {b: {type: secret}}\nflows: {f: {trigger: {manual: true}, steps: [{set: {a: \"{{prompts.b}}\"}}]}}\n",
            "prompt_misplaced",
        ),
        ("package: a\nprompts: {b: {type: choice}}\n", "package_invalid"),
        ("package: a\nflows: {f: {trigger: {manual: true}, steps: [{action: x.nothing}]}}\n", "package_unsound"),
        ("package: a\nflows: {../f: {trigger: {manual: true}}}\n", "package_invalid"),
        ("package: a\nconnections: {c: {connector: nothing}}\n", "connector_unknown"),
    ] {
        project.write("a.yaml", package);
        let file = project.path("a.yaml").display().to_string();
        let told = project.refused(&["package", "import", &file], 1);
        assert!(told.contains(code), "{package}: {told}");
        assert!(!project.path("flows/f.yaml").exists());
    }
    project.write("a.yaml", "package: a\nprompts: {b: {type: choice, choices: [one, two]}}\n");
    let file = project.path("a.yaml").display().to_string();
    assert!(project.refused(&["package", "import", &file, "--set", "b=three"], 2).contains("prompt_choice"));
    assert!(project.refused(&["package", "import", &file, "--set", "c=three"], 2).contains("prompt_unknown"));
}

fn cerb(host: &str) -> Value {
    json!({
        "package": {
            "name": "Twitter", "revision": 1, "requires": {"cerb_version": "10.0.0", "plugins": []},
            "configure": {"placeholders": [], "prompts": [
                {"type": "text", "label": "Consumer key", "key": "prompt_consumer_key", "params": {"default": "", "placeholder": "(the app's key)"}},
                {"type": "text", "label": "Consumer secret", "key": "prompt_consumer_secret", "params": {"default": ""}},
            ]},
        },
        "records": [
            {
                "uid": "service_twitter", "_context": "connected_service", "name": "Twitter", "uri": "twitter",
                "extension_id": "cerb.service.provider.oauth1",
                "params": {
                    "client_id": "{{{prompt_consumer_key}}}", "client_secret": "{{{prompt_consumer_secret}}}",
                    "request_token_url": format!("https://{host}/oauth/request_token"),
                    "authentication_url": format!("https://{host}/oauth/authenticate"),
                    "access_token_url": format!("https://{host}/oauth/access_token"),
                    "signature_method": "HMAC-SHA1",
                },
            },
            {"uid": "account", "_context": "connected_account", "name": "Brand account", "service_id": "{{{uid.service_twitter}}}"},
        ],
    })
}

#[test]
fn packages_of_cerb_are_read_too() {
    for (host, connector) in [("api.twitter.com", "x"), ("sign.example.org", "twitter")] {
        let project = Project::new();
        project.write("twitter.json", &cerb(host).to_string());
        let file = project.path("twitter.json").display().to_string();
        let told = project.refused(&["package", "import", &file], 2);
        assert!(told.contains("prompt_consumer_key") && told.contains("prompt_consumer_secret"), "{told}");
        let given = sets(&[("prompt_consumer_key", "the-key"), ("prompt_consumer_secret", "the-s3cret")]);
        project.done(&import(&file, &given, &["--untested"]));
        let shown = project.json(&["connections", "show", "brand-account"]);
        assert_eq!(shown["connector"], connector, "{shown}");
        let field = |name: &str| shown["fields"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
        assert_eq!(field("consumer_key")["value"], "the-key");
        assert_eq!(
            (&field("consumer_secret")["source"], &field("consumer_secret")["value"]),
            (&"sealed".into(), &Value::Null)
        );
        assert_eq!(project.path("connectors/twitter.yaml").exists(), connector == "twitter");
        // Where its three URLs lead, people can sign in.
        if connector == "twitter" {
            let written = std::fs::read_to_string(project.path("connectors/twitter.yaml")).unwrap();
            let written: Value = serde_yaml::from_str(&written).unwrap();
            assert_eq!(written["hosts"], json!({"api": format!("https://{host}")}), "{written}");
            let sign_in = &written["connection"]["auth"]["user"]["sign_in"];
            assert_eq!(sign_in["authorize"], json!({"host": "api", "path": "/oauth/authenticate"}), "{written}");
            assert_eq!(sign_in["access_token"]["path"], "/oauth/access_token", "{written}");
            project.done(&["check"]);
        }
    }
    let project = Project::new();
    let mut other = cerb("api.twitter.com");
    other["records"][0]["extension_id"] = json!("cerb.service.provider.ldap");
    project.write("twitter.json", &other.to_string());
    let file = project.path("twitter.json").display().to_string();
    assert!(project.refused(&["package", "import", &file], 1).contains("cerb.service.provider.ldap"));
}

#[test]
fn an_account_in_a_package_of_cerb_belongs_to_the_service_whose_whole_uid_it_names() {
    let project = Project::new();
    let mut two = cerb("api.example.org");
    let mut other = two["records"][0].clone();
    (two["records"][0]["uid"], two["records"][0]["uri"]) = (json!("shop"), json!("shop"));
    (other["uid"], other["name"], other["uri"]) = (json!("shop_eu"), json!("Shop of Europe"), json!("shop-eu"));
    two["records"][1]["service_id"] = json!("{{{ uid.shop_eu }}}");
    two["records"].as_array_mut().unwrap().push(other);
    project.write("shops.json", &two.to_string());
    let file = project.path("shops.json").display().to_string();
    let given = sets(&[("prompt_consumer_key", "the-key"), ("prompt_consumer_secret", "the-s3cret")]);
    project.done(&import(&file, &given, &["--untested"]));
    assert_eq!(project.json(&["connections", "show", "brand-account"])["connector"], "shop-eu");
    assert_eq!(project.json(&["connections", "show", "shop"])["connector"], "shop");
    // One without a uid is nobody's.
    let mut none = cerb("api.example.org");
    none["records"][0]["uid"] = json!("");
    project.write("shops.json", &none.to_string());
    let told = project.refused(&import(&file, &given, &["--untested"]), 1);
    assert!(told.contains("package_invalid") && told.contains("{{{uid.service_twitter}}}"), "{told}");
}

#[test]
fn nothing_of_a_package_of_cerb_is_lost() {
    let project = Project::new();
    let file = project.path("twitter.json").display().to_string();
    let refused = |package: &Value, told: &[&str]| {
        project.write("twitter.json", &package.to_string());
        let said = project.refused(&["package", "import", &file], 1);
        assert!(said.contains("package_invalid") && told.iter().all(|told| said.contains(told)), "{said}");
    };
    let with = |list: &str, change: &dyn Fn(&mut Value)| {
        let mut package = cerb("sign.example.org");
        let mut again = package.pointer(list).unwrap()[0].clone();
        change(&mut again);
        package.pointer_mut(list).unwrap().as_array_mut().unwrap().push(again);
        package
    };
    // Accounts, services and prompts that would have the same name here.
    let mut accounts = cerb("sign.example.org");
    let mut again = accounts["records"][1].clone();
    again["name"] = json!("Brand, Account!");
    accounts["records"].as_array_mut().unwrap().push(again);
    refused(&accounts, &["`Brand account`", "`Brand, Account!`", "`brand-account`"]);
    let services = with("/records", &|again| (again["uid"], again["name"]) = (json!("other"), json!("Other")));
    refused(&services, &["`Twitter`", "`Other`", "`twitter`"]);
    let services = with("/records", &|again| (again["name"], again["uri"]) = (json!("Other"), json!("other")));
    refused(&services, &["`Twitter`", "`Other`", "`service_twitter`"]);
    let prompts = with("/package/configure/prompts", &|again| again["label"] = json!("Another"));
    refused(&prompts, &["`Consumer key`", "`Another`", "`prompt_consumer_key`"]);
    // What is no list.
    let mut records = cerb("sign.example.org");
    records["records"] = json!("x");
    refused(&records, &["`records` is no list"]);
    let mut prompts = cerb("sign.example.org");
    prompts["package"]["configure"]["prompts"] = json!({});
    refused(&prompts, &["`package.configure.prompts` is no list"]);
}

#[test]
fn prompts_of_cerb_stand_in_names_and_addresses_too() {
    let project = Project::new();
    let mut package = cerb("{{{prompt_host}}}");
    let prompts = package.pointer_mut("/package/configure/prompts").unwrap().as_array_mut().unwrap();
    prompts.push(json!({"type": "text", "label": "Host", "key": "prompt_host", "params": {}}));
    prompts
        .push(json!({"type": "picklist", "label": "Who", "key": "prompt_who", "params": {"options": ["Ann", "Ben"]}}));
    package["records"][1]["name"] = json!("{{{prompt_who}}} of {{{ prompt_host }}}");
    project.write("twitter.json", &package.to_string());
    let file = project.path("twitter.json").display().to_string();
    let given = |who: &str| {
        let key = [("prompt_consumer_key", "the-key"), ("prompt_consumer_secret", "the-s3cret")];
        sets(&[key.as_slice(), &[("prompt_host", "sign.example.org"), ("prompt_who", who)]].concat())
    };
    assert!(project.refused(&import(&file, &given("Eve"), &["--untested"]), 2).contains("prompt_choice"));
    project.done(&import(&file, &given("Ann"), &["--untested"]));
    assert_eq!(project.json(&["connections", "show", "ann-of-sign-example-org"])["connector"], "twitter");
    let written = fs::read_to_string(project.path("connectors/twitter.yaml")).unwrap();
    let written: Value = serde_yaml::from_str(&written).unwrap();
    assert_eq!(written["hosts"], json!({"api": "https://sign.example.org"}), "{written}");
    // A secret is no name.
    package["records"][1]["name"] = json!("{{{prompt_consumer_secret}}}");
    project.write("twitter.json", &package.to_string());
    assert!(project.refused(&import(&file, &given("Ann"), &[]), 1).contains("prompt_misplaced"));
}

#[test]
fn what_is_not_understood_of_a_package_of_cerb_is_refused() {
    let project = Project::new();
    let file = project.path("twitter.json").display().to_string();
    let prompt = |written: Value| {
        let mut package = cerb("sign.example.org");
        package.pointer_mut("/package/configure/prompts").unwrap().as_array_mut().unwrap().push(written);
        package
    };
    let section = |name: &str, value: Value| {
        let mut package = cerb("sign.example.org");
        package[name] = value;
        package
    };
    for (package, told) in [
        (section("workspaces", json!([{"uid": "w"}])), "`workspaces`"),
        (section("behaviors", json!({"a": 1})), "`behaviors`"),
        (
            prompt(json!({"type": "chooser", "label": "Group", "key": "prompt_group", "params": {"context": "group"}})),
            "`prompt_group`",
        ),
        (prompt(json!({"type": "picklist", "label": "Kind", "key": "prompt_kind"})), "`prompt_kind`"),
        (prompt(json!({"type": "colour", "label": "Colour", "key": "prompt_colour"})), "`colour`"),
    ] {
        project.write("twitter.json", &package.to_string());
        let said = project.refused(&["package", "import", &file], 1);
        assert!(said.contains("package_invalid") && said.contains(told), "{said}");
    }
    // Empty sections say nothing.
    project.write("twitter.json", &section("workspaces", json!([])).to_string());
    assert!(project.refused(&["package", "import", &file], 2).contains("prompt_missing"));
}

#[test]
fn no_secret_of_a_flow_is_exported() {
    let project = Project::new();
    project.write(
        "flows/report.yaml",
        "flow: report\ntrigger: {manual: true}\ninputs:\n  token: {type: string, secret: true, default: hunter2}\n  \
         to: {type: string, default: somebody}\nsteps:\n  - {action: log.write, with: {message: \"{{inputs.to}}\"}}\n",
    );
    let exported = project.run(&["package", "export", "--name", "copy"]);
    let said = text(&exported);
    assert!(exported.status.success() && said.contains("somebody") && said.contains("`token`"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    // For programs it is one JSON document, which can be imported as well.
    let package = project.json(&["package", "export", "--name", "copy"]);
    assert_eq!(package["flows"]["report"]["inputs"]["token"], json!({"type": "string", "secret": true}));
    let other = Project::new();
    other.write("copy.json", &package.to_string());
    other.done(&["package", "import", &other.path("copy.json").display().to_string()]);
    assert!(other.path("flows/report.yaml").exists());
}
