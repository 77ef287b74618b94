//! How numbers may be written in an order.

use tower_drain::DrainHandle;

use crate::admin_support::{admin, post, ready, said};

#[test]
fn a_nonce_is_a_whole_number_from_1_to_2_to_the_53_less_1() {
    let handle = DrainHandle::new();
    let service = admin(&handle);
    let nonce = said(&service, post("/drain", "")).nonce();
    for body in [
        r#"{"nonce":0}"#,
        r#"{"nonce":9007199254740992}"#,
        r#"{"nonce":18446744073709551615}"#,
        r#"{"nonce":18446744073709551616}"#,
        r#"{"nonce":-1}"#,
        r#"{"nonce":null}"#,
        &format!(r#"{{"nonce":"{nonce}"}}"#),
        &format!(r#"{{"nonce":{nonce}.5}}"#),
        &format!(r#"{{"nonce":{nonce}.0000000000000000000000001}}"#),
        &format!(r#"{{"nonce":{nonce}e-1000}}"#),
        &format!(r#"{{"nonce":{nonce}e9999999999999999999}}"#),
        r#"{"nonce":9007199254740992.0}"#,
        r#"{"nonce":9.007199254740992e15}"#,
        r#"{"nonce":0.0}"#,
        r#"{"nonce":0e99999999999}"#,
        r#"{"nonce":-7.0}"#,
        r#"{"nonce":true}"#,
        &format!(r#"{{"nonce":[{nonce}]}}"#),
        &format!(r#"{{"nonce":{nonce},"nonce":{nonce}}}"#),
        &format!(r#"{{"nonce":{nonce},"force":true}}"#),
        r#"{}"#,
    ] {
        let answer = said(&service, post("/ready", body.to_owned()));
        assert_eq!(answer.status, 400, "{body}");
        let error = answer.error();
        assert!(
            error.contains("nonce") || error.contains("force"),
            "{body}: {error}"
        );
        assert_eq!(handle.nonce(), Some(nonce), "{body}");
    }
    assert_eq!(said(&service, ready(nonce)).status, 200);
}

/// JSON has one kind of number (RFC 8259, section 6), and there are tools whose numbers are all doubles.
#[test]
fn a_nonce_may_be_written_as_any_number_that_is_whole() {
    for _ in 0..50 {
        let handle = DrainHandle::new();
        let nonce = handle.begin_lame_duck_because("a try".into()).unwrap();
        let kept = serde_json::to_string(&handle.snapshot()).unwrap();
        let digits = nonce.to_string();
        let (first, rest) = digits.split_at(1);
        for written in [
            format!("{nonce}.0"),
            format!("{nonce}.000"),
            format!("{nonce}0e-1"),
            format!("{nonce}e0"),
            format!("{first}.{rest}0e+{}", rest.len()),
            format!("{first}.{rest}E{}", rest.len()),
            format!("0.00{digits}e{}", digits.len() + 2),
            format!("{:e}", nonce.as_u64() as f64),
        ] {
            let kept = kept.replace(&digits, &written);
            let restored = DrainHandle::restore(serde_json::from_str(&kept).unwrap());
            assert_eq!(restored.nonce(), Some(nonce), "{written}");
            let answer = said(&admin(&restored), ready(&written));
            assert_eq!(answer.status, 200, "{written}");
        }
    }
}

#[test]
fn a_time_to_live_may_be_written_as_any_number() {
    for written in ["60", "60.0", "6e1", "6.0E+1", "600e-1"] {
        let handle = DrainHandle::new();
        said(
            &admin(&handle),
            post("/drain", format!("{{\"ttl_s\":{written}}}")),
        )
        .nonce();
        let left = handle.status().lifts_in.unwrap();
        assert!(left.as_secs_f64().round() == 60.0, "{written}: {left:?}");
    }
}
