use std::fs;

use cupola_models::Predictor;
use cupola_models::mlp::CpuMlp;
use cupola_models::onnx::export_mlp;

use crate::models;
use crate::python::Python;

/// Checks the file strictly, runs it, and prints the scores row by row.
const SCRIPT: &str = r#"
import json, sys
import numpy as np, onnx, onnxruntime
model = onnx.load(sys.argv[1])
onnx.checker.check_model(model, full_check=True)
given = json.load(open(sys.argv[2]))
inputs = {
    name: np.array(given[name], dtype=kind).reshape(given["n_rows"], -1)
    for name, kind in (("numeric", np.float32), ("categorical", np.int64))
    if given[name]
}
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
assert {i.name for i in session.get_inputs()} == set(inputs)
assert [o.name for o in session.get_outputs()] == ["score"]
(score,) = session.run(["score"], inputs)
assert score.dtype == np.float32
print(json.dumps([score.shape, score.reshape(-1).astype(float).tolist()]))
"#;

#[test]
fn onnx_runtime_reproduces_our_scores() {
    let Some(python) =
        Python::or_skip("onnx_runtime_reproduces_our_scores", &["numpy", "onnx", "onnxruntime"])
    else {
        return;
    };
    for model in models::all() {
        let folder = tempfile::tempdir().unwrap();
        let (file, inputs) = (folder.path().join("model.onnx"), folder.path().join("inputs.json"));
        fs::write(&file, export_mlp(&model.shape, &model.weights, &model.task).unwrap()).unwrap();
        let rows = model.rows(100);
        let given = serde_json::json!({
            "n_rows": rows.n_rows, "numeric": rows.numeric, "categorical": rows.categorical,
        });
        fs::write(&inputs, given.to_string()).unwrap();
        let ours = CpuMlp::new(&model.shape, &model.weights, &model.task).unwrap().predict(&rows).unwrap();

        let printed = python.run(SCRIPT, &[&file, &inputs]);
        let (shape, theirs): ([usize; 2], Vec<f32>) = serde_json::from_str(&printed).unwrap();
        assert_eq!(shape, [100, model.shape.n_outputs], "{}", model.name);
        let difference = |(a, b): (&f32, &f32)| (a - b).abs() / a.abs().max(1.0);
        let worst = ours.values.iter().zip(&theirs).map(difference).fold(0.0, f32::max);
        assert!(worst < 1e-5, "{}: {worst}", model.name);
        let spread = ours.values.iter().fold(f32::MIN, |a, &b| a.max(b))
            - ours.values.iter().fold(f32::MAX, |a, &b| a.min(b));
        assert!(spread > 0.01, "{}: scores that hardly differ prove nothing ({spread})", model.name);
    }
}
