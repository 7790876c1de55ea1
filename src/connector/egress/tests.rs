//! Which addresses pass, which rules are read.

use super::*;

fn egress(allow: &[&str]) -> Egress {
    Egress::new(&allow.iter().map(|&rule| rule.to_owned()).collect::<Vec<_>>()).unwrap()
}

#[test]
fn only_public_addresses_are_reached_unless_named() {
    for (address, public) in [
        ("93.184.216.34", true),
        ("172.32.0.1", true),
        ("100.128.0.1", true),
        ("2606:2800:220:1::1", true),
        ("64:ff9b::5db8:d822", true),
        ("::ffff:93.184.216.34", true),
        ("127.0.0.1", false),
        ("127.255.0.9", false),
        ("0.0.0.0", false),
        ("10.1.2.3", false),
        ("172.16.0.1", false),
        ("172.31.255.255", false),
        ("192.168.1.1", false),
        ("169.254.169.254", false),
        ("100.64.0.1", false),
        ("198.19.0.1", false),
        ("224.0.0.1", false),
        ("255.255.255.255", false),
        ("::1", false),
        ("::", false),
        ("::127.0.0.1", false),
        ("::ffff:127.0.0.1", false),
        ("::ffff:10.0.0.1", false),
        ("64:ff9b::7f00:1", false),
        ("64:ff9b:1::1", false),
        ("2002:7f00:1::", false),
        ("2001:db8::1", false),
        ("2001::1", false),
        ("fc00::1", false),
        ("fd12:3456::1", false),
        ("fe80::1", false),
        ("fec0::1", false),
        ("ff02::1", false),
    ] {
        let permitted = Egress::default().permits("host", address.parse().unwrap(), 443);
        assert_eq!(permitted, public, "{address}");
    }
}

#[test]
fn rules_permit_what_they_name_and_no_more() {
    let egress = egress(&[
        "127.0.0.1:*",
        "10.0.0.0/8:443",
        "[::1]:8080",
        "[fd00::/8]:443",
        "[fe80::]/10:*",
        "API.internal:443",
        "0.0.0.0/0:1",
    ]);
    for (host, address, port, permitted) in [
        ("127.0.0.1", "127.0.0.1", 80, true),
        ("[::ffff:7f00:1]", "::ffff:127.0.0.1", 80, true),
        ("127.0.0.2", "127.0.0.2", 80, false),
        ("x", "10.200.0.1", 443, true),
        ("x", "10.200.0.1", 80, false),
        ("x", "11.0.0.1", 80, true),
        ("x", "::1", 8080, true),
        ("x", "::1", 8081, false),
        ("x", "fd12::1", 443, true),
        ("x", "fc12::1", 443, false),
        ("x", "fe80::9", 9, true),
        ("api.internal", "192.168.0.7", 443, true),
        ("api.internal.", "192.168.0.7", 443, true),
        ("api.internal", "192.168.0.7", 80, false),
        ("other.internal", "192.168.0.7", 443, false),
        ("x", "192.168.0.7", 1, true),
        ("x", "::2", 1, false),
    ] {
        let address = address.parse().unwrap();
        assert_eq!(egress.permits(host, address, port), permitted, "{host} {address} {port}");
    }
}

#[test]
fn what_can_not_be_read_is_told_with_its_place() {
    let allow: Vec<String> =
        ["127.0.0.1", "::1:80", "10.0.0.0/33:443", "127.0.0.1:99999", "*.internal:443", ":80", "a/8:1", "ok.test:80"]
            .map(str::to_owned)
            .into();
    let wrong = Egress::new(&allow).unwrap_err();
    let places: Vec<_> = wrong.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [0, 1, 2, 3, 4, 5, 6]);
    assert!(wrong[0].1.contains("127.0.0.1:*"), "{}", wrong[0].1);
}

#[test]
fn addresses_in_urls_are_judged_in_every_spelling() {
    for url in [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
    ] {
        let refused = Egress::default().check_literal(&Url::parse(url).unwrap()).unwrap_err();
        let allowed = egress(&[&refused.rule()]);
        assert!(allowed.check_literal(&Url::parse(url).unwrap()).is_ok(), "{url}");
    }
    assert!(Egress::default().check_literal(&Url::parse("http://name.test/").unwrap()).is_ok());
}
