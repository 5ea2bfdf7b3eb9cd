// What stands in the active viewport, as values. Boxes are [left, top, right, bottom] in the window's pixels;
// `rectangles` also tell their corners in the image's own pixels, where (0, 0) is the first pixel's corner (PS3.3 C.18.6.1.1).
() => {
  const id = services.viewportGridService.getActiveViewportId();
  const viewport = services.cornerstoneViewportService.getCornerstoneViewport(id);
  const image = viewport?.getImageData?.();
  if (!image) return null;
  const box = element => { const { left, top, right, bottom } = element.getBoundingClientRect(); return [left, top, right, bottom]; };
  const pane = box(viewport.element);
  const onWindow = index => {
    const [x, y] = viewport.worldToCanvas(image.imageData.indexToWorld(index));
    return [x + pane[0], y + pane[1]];
  };
  // an index counts from the first pixel's centre
  const inImage = (x, y) => [...image.imageData.worldToIndex(viewport.canvasToWorld([x, y]))].slice(0, 2).map(value => value + 0.5);
  const numbers = line => line.getAttribute('points').trim().split(/[\s,]+/).map(Number);
  const corners = (values, place) => values.flatMap((x, i) => (i % 2 ? [] : [place(x, values[i + 1])]));
  const [columns, rows] = image.dimensions;
  const drawn = kind => [...viewport.element.querySelectorAll(`svg.svg-layer ${kind}`)];
  return {
    status: viewport.viewportStatus,
    imageId: viewport.getCurrentImageId(),
    index: viewport.getCurrentImageIdIndex(),
    images: viewport.getImageIds().length,
    pane,
    imageBox: [...onWindow([-0.5, -0.5, 0]), ...onWindow([columns - 0.5, rows - 0.5, 0])],
    rectangles: drawn('polyline').map(line => ({
      inImage: corners(numbers(line), inImage),
      inWindow: corners(numbers(line), (x, y) => [x + pane[0], y + pane[1]]),
    })),
    labels: drawn('text').map(text => ({ lines: [...text.querySelectorAll('tspan')].map(part => part.textContent), box: box(text) })),
  };
}
