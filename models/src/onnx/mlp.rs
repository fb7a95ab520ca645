use prost::Message;

use super::proto::*;
use crate::mlp::{Link, MlpShape, MlpWeights, OutputScale, WeightsError};
use crate::predict::Task;

/// `LayerNormalization` came with version 17.
const OPSET: i64 = 17;
/// The file format that goes with it.
const IR_VERSION: i64 = 8;

/// The network as an ONNX file, link included: its output is the score.
///
/// Inputs `numeric` `[N, n_numeric]` float and `categorical` `[N, n_categorical]` int64 (category
/// codes), each left out where the network has no such feature; output `score` `[N, n_outputs]`
/// float.
pub fn export_mlp(shape: &MlpShape, weights: &MlpWeights, task: &Task) -> Result<Vec<u8>, WeightsError> {
    weights.check(shape)?;
    let mut graph = Graph::default();
    graph.weights(weights, shape);
    let mut value = graph.inputs(shape);
    for i in 0..shape.config.hidden.len() {
        value = graph.hidden(i, value, shape);
    }
    let raw =
        graph.node("Gemm", &[&value, "output.weight", "output.bias"], vec![AttributeProto::int("transB", 1)]);
    graph.link(Link::new(task, weights.output_scale()), &raw);
    Ok(graph.finish(shape).encode_to_vec())
}

/// A graph that grows node by node. A node's output has the node's name.
#[derive(Default)]
struct Graph {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    inputs: Vec<ValueInfoProto>,
}

impl Graph {
    fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let name = format!("{}_{}", op.to_lowercase(), self.nodes.len());
        self.named_node(&name, op, inputs, attributes);
        name
    }

    fn named_node(&mut self, name: &str, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![name.into()],
            name: format!("{name}_node"),
            op_type: op.into(),
            attribute: attributes,
        });
    }

    fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        self.initializers.push(TensorProto {
            dims: shape.iter().map(|&size| size as i64).collect(),
            data_type: FLOAT,
            name: name.into(),
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        });
    }

    fn weights(&mut self, weights: &MlpWeights, shape: &MlpShape) {
        for (name, _) in shape.tensors() {
            if let Some(tensor) = weights.get(&name) {
                self.floats(&name, &tensor.shape, &tensor.values);
            }
        }
    }

    /// Declares the inputs and joins them as the first layer reads them.
    fn inputs(&mut self, shape: &MlpShape) -> String {
        let mut parts = Vec::new();
        if shape.n_numeric > 0 {
            self.inputs.push(value_info("numeric", FLOAT, shape.n_numeric));
            parts.push("numeric".to_owned());
        }
        if !shape.cardinalities.is_empty() {
            self.inputs.push(value_info("categorical", INT64, shape.cardinalities.len()));
        }
        for j in 0..shape.cardinalities.len() {
            let position = format!("position.{j}");
            self.initializers.push(TensorProto {
                dims: Vec::new(),
                data_type: INT64,
                name: position.clone(),
                raw_data: (j as i64).to_le_bytes().into(),
            });
            let codes =
                self.node("Gather", &["categorical", &position], vec![AttributeProto::int("axis", 1)]);
            let table = format!("embedding.{j}.weight");
            parts.push(self.node("Gather", &[&table, &codes], vec![AttributeProto::int("axis", 0)]));
        }
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.node("Concat", &parts, vec![AttributeProto::int("axis", 1)])
    }

    fn hidden(&mut self, i: usize, input: String, shape: &MlpShape) -> String {
        let tensor = |part: &str| format!("hidden.{i}.{part}");
        let (weight, bias) = (tensor("weight"), tensor("bias"));
        let mut value = self.node("Gemm", &[&input, &weight, &bias], vec![AttributeProto::int("transB", 1)]);
        if shape.config.layer_norm {
            let (scale, shift) = (tensor("norm.weight"), tensor("norm.bias"));
            let attributes = vec![AttributeProto::int("axis", -1), AttributeProto::float("epsilon", 1e-5)];
            value = self.node("LayerNormalization", &[&value, &scale, &shift], attributes);
        }
        value = self.node("Relu", &[&value], Vec::new());
        if shape.is_residual(i) { self.node("Add", &[&value, &input], Vec::new()) } else { value }
    }

    fn link(&mut self, link: Link, raw: &str) {
        match link {
            Link::Sigmoid => self.named_node("score", "Sigmoid", &[raw], Vec::new()),
            Link::Softmax => {
                self.named_node("score", "Softmax", &[raw], vec![AttributeProto::int("axis", 1)])
            }
            Link::Exp => self.named_node("score", "Exp", &[raw], Vec::new()),
            Link::Scale(OutputScale { mean, sd }) => {
                self.floats("output.mean", &[1], &[mean]);
                self.floats("output.sd", &[1], &[sd]);
                let scaled = self.node("Mul", &[raw, "output.sd"], Vec::new());
                self.named_node("score", "Add", &[&scaled, "output.mean"], Vec::new());
            }
        }
    }

    fn finish(self, shape: &MlpShape) -> ModelProto {
        ModelProto {
            ir_version: IR_VERSION,
            producer_name: "cupola".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(GraphProto {
                node: self.nodes,
                name: "mlp".into(),
                initializer: self.initializers,
                input: self.inputs,
                output: vec![value_info("score", FLOAT, shape.n_outputs)],
            }),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        }
    }
}

/// A tensor `[N, width]`.
fn value_info(name: &str, elem_type: i32, width: usize) -> ValueInfoProto {
    let dim = [DimensionValue::Name("N".into()), DimensionValue::Size(width as i64)]
        .map(|value| Dimension { value: Some(value) });
    let tensor = TensorTypeProto { elem_type, shape: Some(TensorShapeProto { dim: dim.into() }) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}
