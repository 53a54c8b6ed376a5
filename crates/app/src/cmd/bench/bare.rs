//! The measure of all things: axum parses the same JSON, answers one of the same size, stores
//! nothing. A process of its own, so that it gets what the measured server gets.

use anyhow::Context as _;
use axum::{Json, Router, routing::post};
use serde::{Deserialize, Serialize};

/// What a recharge asks.
#[derive(Deserialize)]
struct Asked {
    number: String,
    amount: u32,
    #[serde(rename = "operator")]
    _operator: String,
    #[serde(rename = "service_type")]
    _service_type: String,
    reference: String,
}

/// What a recharge answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    success: bool,
    message: &'static str,
    billing: Billing,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Billing {
    reference: String,
    status: &'static str,
    recharge_type: &'static str,
    number: String,
    amount: u32,
    fee: &'static str,
    commission: &'static str,
    remaining_balance: &'static str,
    transaction_id: u64,
}

/// Serves on a free loopback port, whose address it prints; until it is stopped.
pub(super) fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        super::report::line(&listener.local_addr()?.to_string());
        let app = Router::new().route(super::drive::RECHARGE, post(answer));
        axum::serve(listener, app).await.context("serving the bare endpoint")
    })
}

async fn answer(Json(asked): Json<Asked>) -> Json<Answered> {
    Json(Answered {
        success: true,
        message: "Recharge processed successfully",
        billing: Billing {
            reference: asked.reference,
            status: "success",
            recharge_type: "normal",
            number: asked.number,
            amount: asked.amount,
            fee: "0.5",
            commission: "1.5",
            remaining_balance: "123456789.5",
            transaction_id: 123_456_789_012,
        },
    })
}
