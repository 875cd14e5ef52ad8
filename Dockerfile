# Serves a run on port 8000:
#   docker build -t attnpred . && docker run -p 8000:8000 -v RUN:/run/model:ro attnpred
# Which PyTorch it holds is said by the index that PyTorch's own page of installation names for a device:
#   docker build --build-arg TORCH_INDEX=URL_FOR_CPU .      small, for CPUs alone
#   docker build --build-arg TORCH_INDEX=URL_FOR_CUDA .     and then docker run --gpus all …
# Without it pip's usual build is taken, which runs on CPUs and on NVIDIA's GPUs, and is large.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim AS build
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch>=2.10" "torchvision>=0.25"
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY conf conf
COPY attnpred attnpred
RUN pip install ".[serve,export]"

FROM python:${PYTHON}-slim
RUN useradd --create-home --uid 10001 attnpred
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
USER attnpred
WORKDIR /home/attnpred
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=120s --timeout=5s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/ready', timeout=3)"]
ENTRYPOINT ["attnpred", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["/run/model"]
