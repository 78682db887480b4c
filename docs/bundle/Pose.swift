// iOS, with TensorFlowLiteSwift; `folder` is a bundle of `edgepose bundle`, unzipped. float32 or int8 models.
struct Pose {
    let manifest: [String: Any], model: Interpreter, names: [String]
    func at(_ path: String) -> Any { path.split(separator: ".").reduce(manifest as Any) { ($0 as! [String: Any])[String($1)]! } }
    func number(_ path: String) -> Float { (at(path) as! NSNumber).floatValue }
    func numbers(_ path: String) -> [Float] { (at(path) as! [NSNumber]).map { $0.floatValue } }

    init(folder: URL) throws {
        let text = try Data(contentsOf: folder.appendingPathComponent("manifest.json"))
        let said = try JSONSerialization.jsonObject(with: text) as! [String: Any]
        func get(_ path: String) -> Any { path.split(separator: ".").reduce(said as Any) { ($0 as! [String: Any])[String($1)]! } }
        precondition(get("schema_version") as! Int == 1 && get("output.kind") as! String == "maps")
        precondition(get("output.decode.name") as! String == "taylor")
        for tensor in ["input", "output"] {
            precondition(get("\(tensor).dtype") as! String == (get("\(tensor).scale") as! Double == 0 ? "float32" : "int8"))
        }
        for (name, part) in get("parts") as! [String: [String: Any]] {
            let data = try Data(contentsOf: folder.appendingPathComponent(name))
            let hash = SHA256.hash(data: data).map { String(format: "%02x", $0) }.joined()
            precondition(hash == part["sha256"] as! String, "\(name) has changed")
        }
        model = try Interpreter(modelPath: folder.appendingPathComponent(get("model.file") as! String).path)
        names = get("keypoints.names") as! [String]
        manifest = said
        try model.allocateTensors()
    }

    /// x, y in pixels of the image and the confidence, by keypoint.
    func mark(_ image: CGImage) throws -> [String: SIMD3<Float>] {
        let shape = numbers("input.shape").map { Int($0) }, (h, w) = (shape[1], shape[2])
        let fit = min(Double(w) / Double(image.width), Double(h) / Double(image.height))
        let cw = max(1, Int((Double(image.width) * fit).rounded(.toNearestOrEven)))
        let ch = max(1, Int((Double(image.height) * fit).rounded(.toNearestOrEven)))
        let left = (w - cw) / 2, top = (h - ch) / 2
        var pixels = [UInt8](repeating: 0, count: w * h * 4)  // black: the padding
        pixels.withUnsafeMutableBytes { raw in
            let context = CGContext(data: raw.baseAddress, width: w, height: h, bitsPerComponent: 8, bytesPerRow: w * 4,
                space: CGColorSpaceCreateDeviceRGB(), bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)!
            context.interpolationQuality = .high
            context.draw(image, in: CGRect(x: left, y: h - top - ch, width: cw, height: ch))  // its y points up
        }
        let a = numbers("input.normalisation.scale"), b = numbers("input.normalisation.offset")
        let s = number("input.scale"), z = number("input.zero_point")
        let values = (0..<w * h * 3).map { Float(pixels[$0 / 3 * 4 + $0 % 3]) * a[$0 % 3] + b[$0 % 3] }
        let stored = values.map { Int8(max(-128, min(127, s == 0 ? 0 : ($0 / s).rounded(.toNearestOrEven) + z))) }
        try model.copy(s == 0 ? values.withUnsafeBytes { Data($0) } : stored.withUnsafeBytes { Data($0) }, toInputAt: 0)
        try model.invoke()
        let data = try model.output(at: Int(number("output.index"))).data
        let os = number("output.scale"), oz = number("output.zero_point")
        let maps: [Float] = data.withUnsafeBytes { raw in
            os == 0 ? Array(raw.bindMemory(to: Float.self)) : raw.bindMemory(to: Int8.self).map { (Float($0) - oz) * os } }
        let size = numbers("output.shape").map { Int($0) }, cell = numbers("output.decode.cell_px")
        return Dictionary(uniqueKeysWithValues: names.enumerated().map { k, name in
            let p = taylor(size[2], size[1]) { maps[$0 * names.count + k] }  // as in Taylor.kt
            return (name, SIMD3((p.x * cell[0] - Float(left)) * Float(image.width) / Float(cw),
                                (p.y * cell[1] - Float(top)) * Float(image.height) / Float(ch), p.z))
        })
    }
}
