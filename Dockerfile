# A server that scores photos on a CPU: shamisa serve, as a user without rights.
#
#   docker build -t shamisa .
#   docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8000:8000 shamisa

FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# PyTorch's own index has builds without CUDA, which are smaller by some gigabytes.
RUN pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY shamisa shamisa
COPY shamisa_cli shamisa_cli
COPY plugins plugins
COPY weights weights
RUN pip install ".[serve,heic,raw]"

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin shamisa
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["shamisa"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
