//! Whatever comes in, the answer is a 4xx that changed nothing, or a 200 that was ordered.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use proptest::prelude::*;
use serde_json::{json, Map, Value};
use tower_drain::{DrainHandle, Phase};

use crate::admin_support::{admin, order, post, said, Said, TOKEN};

/// The answer to a request, and what is to hold of it.
fn judged(request: Request<Full<Bytes>>) -> Result<Said, TestCaseError> {
    let handle = DrainHandle::new();
    let answer = said(&admin(&handle), request);
    match answer.status.as_u16() {
        200 => {}
        400..=499 => {
            prop_assert!(answer.json()["error"].is_string());
            prop_assert_eq!((handle.phase(), handle.nonce()), (Phase::Serving, None));
            prop_assert!(handle.seal(), "not sealed either");
        }
        other => prop_assert!(false, "{}", other),
    }
    let told = format!("{answer:?}");
    prop_assert!(!told.contains(TOKEN));
    Ok(answer)
}

fn path() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("/drain"),
        Just("/ready"),
        Just("/drain-status"),
        Just("/")
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(field(), inner, 0..4)
                .prop_map(|fields| Value::from(Map::from_iter(fields))),
        ]
    })
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof!["reason", "ttl_s", "then", "nonce", "[a-z_]{0,4}"]
}

/// What an order to drain may be, said once more in another way.
fn is_an_order(body: &Value) -> bool {
    let Some(fields) = body.as_object() else {
        return false;
    };
    fields
        .iter()
        .all(|(field, value)| match (field.as_str(), value) {
            ("reason" | "ttl_s" | "then", Value::Null) => true,
            ("reason", Value::String(words)) => {
                words.trim().is_empty() || !words.contains(char::is_control)
            }
            ("ttl_s", Value::Number(seconds)) => {
                (0.001..=31_536_000.0).contains(&seconds.as_f64().unwrap())
            }
            ("then", Value::String(word)) => {
                word == "stay" || cfg!(feature = "shutdown") && word == "exit"
            }
            _ => false,
        })
}

fn nearly_an_order() -> impl Strategy<Value = Value> {
    let reason = prop_oneof![
        Just(Value::Null),
        any::<String>().prop_map(Value::from),
        any_json()
    ];
    let ttl = prop_oneof![
        (0.0..40_000_000.0_f64).prop_map(Value::from),
        (0..40_000_000_u64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_json()
    ];
    let then = prop_oneof![
        Just(json!("stay")),
        Just(json!("exit")),
        Just(json!({"exit": null})),
        any_json()
    ];
    let fields = (
        proptest::option::of(reason),
        proptest::option::of(ttl),
        proptest::option::of(then),
    );
    fields.prop_map(|(reason, ttl, then)| {
        let fields = [("reason", reason), ("ttl_s", ttl), ("then", then)];
        let given = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::from(Map::from_iter(given))
    })
}

fn credentials() -> impl Strategy<Value = String> {
    let longer = "[ -~]{0,3}".prop_map(|tail| format!("Bearer {TOKEN}{tail}"));
    let shorter = (0..TOKEN.len()).prop_map(|len| format!("Bearer {}", &TOKEN[..len]));
    prop_oneof!["Bearer [!-~]{0,30}", "[ -~]{0,30}", longer, shorter]
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_and_change_nothing(
        path in path(),
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let is_blank = body.iter().all(u8::is_ascii_whitespace);
        let answer = judged(post(path, body))?;
        prop_assert!(answer.status.is_client_error() || path == "/drain" && is_blank);
    }

    #[test]
    fn arbitrary_json_is_an_order_or_refused(
        path in path(),
        body in prop_oneof![any_json(), nearly_an_order()],
    ) {
        let answer = judged(post(path, body.to_string()))?;
        let expected = path == "/drain" && is_an_order(&body);
        prop_assert_eq!(answer.status == 200, expected, "{}: {:?}", body, answer);
    }

    #[test]
    fn whatever_is_cut_off_an_order_leaves_none(cut in 1usize..40) {
        let body = r#"{"reason":"a deploy","ttl_s":60,"then":"stay"}"#;
        let answer = judged(post("/drain", &body[..body.len() - cut]))?;
        prop_assert_eq!(answer.status, 400);
    }

    #[test]
    fn arbitrary_headers_methods_and_paths_never_break_it(
        method in "[A-Z]{1,8}",
        path in "/[a-z/%0-9-]{0,12}(\\?[a-z=&]{0,8})?",
        headers in proptest::collection::vec((
            prop_oneof!["content-type", "content-length", "content-encoding", "expect", "authorization", "host", "[a-z-]{1,12}"],
            proptest::collection::vec(any::<u8>(), 0..24),
        ), 0..6),
        is_known in any::<bool>(),
        body in "[ {}a-z\":]{0,20}",
    ) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = order(method, &path, body);
        if !is_known {
            request.headers_mut().remove("authorization");
        }
        let mut credentials = usize::from(is_known);
        for (name, value) in headers {
            let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(&value)) else {
                continue;
            };
            credentials += usize::from(name == "authorization");
            request.headers_mut().append(name, value);
        }
        let answer = judged(request)?;
        let is_let_in = is_known && credentials == 1;
        prop_assert_eq!(answer.status == 401, !is_let_in);
    }

    #[test]
    fn only_the_whole_token_lets_in(sent in credentials()) {
        let mut request = post("/drain", "{}");
        let Ok(value) = HeaderValue::from_str(&sent) else {
            return Ok(());
        };
        request.headers_mut().insert("authorization", value);
        let answer = judged(request)?;
        prop_assert_eq!(answer.status == 200, sent == format!("Bearer {TOKEN}"), "{}", sent);
    }

    #[test]
    fn a_nonce_that_is_not_the_drains_resumes_nothing(guess in any::<u64>()) {
        let handle = DrainHandle::new();
        let service = admin(&handle);
        let nonce = said(&service, post("/drain", "")).nonce();
        prop_assume!(guess != nonce.as_u64());
        let answer = said(&service, post("/ready", json!({ "nonce": guess }).to_string()));
        let expected = match guess {
            1..=0x1f_ffff_ffff_ffff => 409,
            _ => 400,
        };
        prop_assert_eq!(answer.status.as_u16(), expected);
        prop_assert_eq!(handle.nonce(), Some(nonce));
    }
}
