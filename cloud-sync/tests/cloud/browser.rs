//! A browser without a screen, and an app with an API key: both know the CA and have no certificate of their own.

use axum::http::{Method, StatusCode};
use facegate_runtime::http::client_without_identity;
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use serde_json::Value;

use crate::harness::{API_KEY, TestCloud};

pub struct Browser {
    http: Client,
    base: String,
    pub cookie: Option<String>,
}

impl Browser {
    /// Speaks HTTP/2, as browsers do: without a `Host` header, for one.
    pub fn new(cloud: &TestCloud) -> Self {
        let http = builder(cloud).http2_prior_knowledge().build().unwrap();
        Self { http, base: cloud.web_uri().to_owned(), cookie: None }
    }

    pub fn over_http1(cloud: &TestCloud) -> Self {
        let http = builder(cloud).http1_only().build().unwrap();
        Self { http, base: cloud.web_uri().to_owned(), cookie: None }
    }

    pub async fn get(&self, path: &str) -> Response {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    /// Sends a form as a page of `origin` would.
    pub async fn post_from(&self, origin: Option<&str>, path: &str, form: &str) -> Response {
        let request = self.http.post(format!("{}{path}", self.base));
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.to_owned());
        self.send(match origin {
            Some(origin) => request.header(ORIGIN, origin),
            None => request,
        })
        .await
    }

    pub async fn post(&self, path: &str, form: &str) -> Response {
        self.post_from(Some(&self.base), path, form).await
    }

    /// Fills the sign-in form in and keeps the cookie.
    pub async fn sign_in(&mut self, name: &str, password: &str) -> Response {
        let answer = self.post("/sign-in", &format!("name={name}&password={password}")).await;
        if let Some(cookie) = answer.headers().get(SET_COOKIE) {
            self.cookie = cookie.to_str().unwrap().split(';').next().map(str::to_owned);
        }
        answer
    }

    async fn send(&self, request: RequestBuilder) -> Response {
        let request = match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        };
        request.send().await.unwrap()
    }
}

pub fn leads_to(answer: &Response) -> (StatusCode, Option<&str>) {
    (answer.status(), answer.headers().get(LOCATION).map(|path| path.to_str().unwrap()))
}

/// An app that speaks REST.
pub struct App {
    http: Client,
    base: String,
    key: Option<String>,
}

impl App {
    pub fn new(cloud: &TestCloud) -> Self {
        Self::with_key(cloud, Some(API_KEY))
    }

    pub fn with_key(cloud: &TestCloud, key: Option<&str>) -> Self {
        let http = builder(cloud).build().unwrap();
        Self { http, base: cloud.web_uri().to_owned(), key: key.map(str::to_owned) }
    }

    pub async fn send(&self, method: &str, path: &str, kind: Option<&str>, body: &[u8]) -> Response {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        request.body(body.to_vec()).send().await.unwrap()
    }

    /// A JSON request (none if `body` is null) that must be answered with `status`; gives the answer's body.
    pub async fn call(&self, method: &str, path: &str, body: Value, status: u16) -> Value {
        let kind = (!body.is_null()).then_some("application/json");
        let sent = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = self.send(method, path, kind, &sent).await;
        let (got, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(got, status, "{method} {path}: {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }
}

/// Checks that the answer is a complete problem; gives its status and code.
pub async fn problem(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let kind = answer.headers().get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
    let text = answer.text().await.unwrap();
    assert_eq!(kind.as_deref(), Some("application/problem+json"), "{status}: {text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    let code = body["code"].as_str().unwrap().to_owned();
    assert_eq!(body["status"], status, "{text}");
    assert_eq!(body["type"], format!("urn:facegate:problem:{code}"), "{text}");
    for key in ["title", "detail", "next"] {
        assert!(body[key].as_str().is_some_and(|said| !said.is_empty()), "{key}: {text}");
    }
    (status, code)
}

fn builder(cloud: &TestCloud) -> ClientBuilder {
    let builder = client_without_identity(&cloud.dir.path().join("tls/ca.pem")).unwrap();
    builder.redirect(reqwest::redirect::Policy::none())
}
