//! Every metric's name and help text; units last, in base units.

/// A metric family.
pub(super) struct Name {
    pub name: &'static str,
    pub help: &'static str,
}

macro_rules! names {
    ($($constant:ident $name:literal $help:literal)*) => {$(
        pub(super) const $constant: Name = Name { name: concat!("cupola_", $name), help: $help };
    )*};
}

names! {
    REQUESTS "requests_total" "Prediction requests answered with scores"
    RECORDS "records_total" "Records answered with scores"
    ERRORS "errors_total" "Requests answered with an error, by its stable code"
    REQUEST_SECONDS "request_seconds" "From the request's head to its answer"
    QUEUE_SECONDS "queue_seconds" "From admission to the start of the batch"
    COMPUTE_SECONDS "compute_seconds" "Reading, preparing and scoring one batch"
    BATCH_ROWS "batch_rows" "Rows scored together"
    IN_FLIGHT "in_flight_requests" "Prediction requests admitted and not answered yet"
    QUEUE_ROWS "queue_rows" "Rows that wait for a batch"
    MODEL_INFO "model_info" "1 for each version that is loaded"
    ROUTE_DECISIONS "route_decisions_total" "Records sent to a version, by the rule that sent them"
    SHADOW_RESULTS "shadow_results_total" "Shadow scores compared with the answer's: equal or different label, failed, or dropped under load"
    SHADOW_DIFFERENCE "shadow_difference" "Largest absolute difference between a record's shadow scores and its answer's"
    RELOADS "reloads_total" "Changes of the registry taken over, or failed and left as they were"
    READY "ready" "1 when requests are accepted"
    BUILD_INFO "build_info" "1, with the version of Cupola"
    FEATURE_PSI "feature_psi" "Population stability index of an input column against the training data"
    SCORE_PSI "score_psi" "Population stability index of the scores against those of rows that training held out"
}
