use std::path::Path;

use chrono::{DateTime, Utc};
use cupola_models::Manifest;
use prost::Message;
use serde_json::{Value, json};

use super::datasets::colspec;

/// The network inside a bundle, for runtimes other than ours.
pub(super) const ONNX_FILE: &str = "model.onnx";

/// Whose model it is on the server.
pub(super) struct Identity<'a> {
    pub model_id: &'a str,
    pub run_id: Option<&'a str>,
    pub name: &'a str,
    pub created_ms: u64,
}

/// The files that make a bundle a model to MLflow, by name. With a network in ONNX it can be
/// loaded and served by MLflow itself; its inputs are the network's, features rather than columns.
pub(super) fn files(
    manifest: &Manifest,
    bundle: &Path,
    identity: &Identity<'_>,
) -> Vec<(&'static str, String)> {
    let network =
        std::fs::read(bundle.join(ONNX_FILE)).ok().and_then(|bytes| OnnxModel::decode(bytes.as_slice()).ok());
    let mut files = vec![("MLmodel", mlmodel(manifest, network.as_ref(), identity))];
    if network.is_some() {
        files.push(("requirements.txt", REQUIREMENTS.join("\n") + "\n"));
        files.push((
            "python_env.yaml",
            format!("python: \"{PYTHON}\"\nbuild_dependencies: [pip]\ndependencies: [-r requirements.txt]\n"),
        ));
        files.push((
            "conda.yaml",
            format!("name: mlflow-env\nchannels: [conda-forge]\ndependencies: [\"python={PYTHON}\", pip, {{pip: {}}}]\n", json!(REQUIREMENTS)),
        ));
    }
    files
}

const PYTHON: &str = "3.11";
const MLFLOW: &str = "3.0.0";
const REQUIREMENTS: [&str; 4] = ["mlflow>=3", "onnx", "onnxruntime", "pandas"];

fn mlmodel(manifest: &Manifest, network: Option<&OnnxModel>, identity: &Identity<'_>) -> String {
    let mut flavors = json!({
        "cupola": {
            "version": manifest.provenance.cupola_version,
            "manifest": "bundle.json",
            "kind": manifest.kind,
        },
    });
    if let Some(network) = network {
        flavors["onnx"] = json!({
            "onnx_version": network.version(),
            "data": ONNX_FILE,
            "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"],
            "code": null,
        });
        flavors["python_function"] = json!({
            "loader_module": "mlflow.onnx",
            "data": ONNX_FILE,
            "python_version": PYTHON,
            "env": { "conda": "conda.yaml", "virtualenv": "python_env.yaml" },
        });
    }
    let schema = &manifest.signature.input;
    let columns = colspec(schema, |name| {
        schema.label.as_deref() != Some(name) && schema.weight.as_deref() != Some(name)
    });
    let (inputs, outputs) = match network {
        Some(network) => network.signature(),
        None => (columns.clone(), vec![json!({ "type": "double", "name": "score", "required": true })]),
    };
    let created = DateTime::<Utc>::from_timestamp_millis(identity.created_ms as i64).unwrap_or_default();
    // JSON is YAML, and safe from its quoting.
    let model = json!({
        "artifact_path": identity.name,
        "flavors": flavors,
        "mlflow_version": MLFLOW,
        "model_id": identity.model_id,
        "model_uuid": identity.model_id.trim_start_matches("m-"),
        "run_id": identity.run_id,
        "utc_time_created": created.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
        "signature": {
            "inputs": Value::from(inputs).to_string(),
            "outputs": Value::from(outputs).to_string(),
            "params": null,
        },
        "metadata": { "cupola_columns": Value::from(columns).to_string(), "cupola_task": manifest.signature.task.kind() },
    });
    serde_json::to_string_pretty(&model).unwrap_or_default() + "\n"
}

/// The few fields of an ONNX file that describe its inputs and outputs (onnx.proto of ONNX 1.x);
/// the decoder skips all others.
#[derive(Clone, PartialEq, Message)]
struct OnnxModel {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<OnnxGraph>,
}

#[derive(Clone, PartialEq, Message)]
struct OnnxGraph {
    #[prost(message, repeated, tag = "11")]
    input: Vec<OnnxValue>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<OnnxValue>,
}

#[derive(Clone, PartialEq, Message)]
struct OnnxValue {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<OnnxType>,
}

#[derive(Clone, PartialEq, Message)]
struct OnnxType {
    #[prost(message, optional, tag = "1")]
    tensor: Option<OnnxTensor>,
}

#[derive(Clone, PartialEq, Message)]
struct OnnxTensor {
    #[prost(int32, tag = "1")]
    element: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<OnnxShape>,
}

#[derive(Clone, PartialEq, Message)]
struct OnnxShape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<OnnxDimension>,
}

#[derive(Clone, PartialEq, Message)]
struct OnnxDimension {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
}

impl OnnxModel {
    /// First release of ONNX with this file format.
    fn version(&self) -> &'static str {
        match self.ir_version {
            ..=7 => "1.7.0",
            8 => "1.10.0",
            9 => "1.15.0",
            10 => "1.16.0",
            _ => "1.18.0",
        }
    }

    fn signature(&self) -> (Vec<Value>, Vec<Value>) {
        let graph = self.graph.clone().unwrap_or_default();
        (
            graph.input.iter().map(OnnxValue::spec).collect(),
            graph.output.iter().map(OnnxValue::spec).collect(),
        )
    }
}

impl OnnxValue {
    fn spec(&self) -> Value {
        let tensor = self.kind.clone().unwrap_or_default().tensor.unwrap_or_default();
        let dtype = match tensor.element {
            6 => "int32",
            7 => "int64",
            11 => "float64",
            _ => "float32",
        };
        // A dimension without a number is the batch.
        let shape: Vec<i64> = tensor
            .shape
            .unwrap_or_default()
            .dim
            .iter()
            .map(|dim| dim.value.filter(|&n| n > 0).unwrap_or(-1))
            .collect();
        json!({ "type": "tensor", "name": self.name, "tensor-spec": { "dtype": dtype, "shape": shape } })
    }
}
