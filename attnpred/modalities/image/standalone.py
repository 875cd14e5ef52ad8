"""Reading an image file with Pillow alone."""

from attnpred.modalities.image.reader import ImageReader
from attnpred.modalities.reader import Standalone


def standalone(reader: ImageReader) -> Standalone:
    spec, options = reader.spec, reader.options()
    mode, size = "L" if spec.channels == 1 else "RGB", f"({spec.width}, {spec.height})"
    lines = [f'image = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("{mode}")']
    if options["fit"] == "crop":
        share = options["crop_share"]
        lines += [
            f"scale = min(image.width / {spec.width}, image.height / {spec.height}) * {share}",
            f"across, down = {spec.width} * scale, {spec.height} * scale",
            "left, top = (image.width - across) / 2, (image.height - down) / 2",
            "image = image.crop((round(left), round(top), round(left + across), round(top + down)))",
        ]
    if options["fit"] == "pad":
        lines += [
            f"scale = min({spec.width} / image.width, {spec.height} / image.height)",
            "small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), 2)",
            f'image = Image.new("{mode}", {size})',
            "image.paste(small, ((image.width - small.width) // 2, (image.height - small.height) // 2))",
        ]
    else:
        lines.append(f"image = image.resize({size}, Image.Resampling.BILINEAR)")
    lines += [
        f"pixels = np.asarray(image, np.uint8).reshape({spec.height}, {spec.width}, {spec.channels})",
        'feeds = {"pixels": pixels.transpose(2, 0, 1)[None].copy()}',
        'rows, columns = json.loads((HERE / "export.json").read_text())["grids"][0]',
        "parts = [[row, column] for row in range(rows) for column in range(columns)]",
    ]
    return Standalone("image.png", ("pillow",), ("from PIL import Image, ImageOps",), tuple(lines))
