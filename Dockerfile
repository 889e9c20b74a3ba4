# The server, without a model: mount an export directory at /model.
#   docker build -t flaxmill .
#   docker run -p 8000:8000 -v $PWD/runs/fashion_mnist-quick-0/export:/model:ro flaxmill
FROM python:3.11-slim AS build
COPY . /source
RUN python -m venv /opt/flaxmill \
    && /opt/flaxmill/bin/pip install --no-cache-dir --constraint /source/constraints.txt \
        '/source[serve]' onnxruntime

FROM python:3.11-slim
COPY --from=build /opt/flaxmill /opt/flaxmill
ENV PATH=/opt/flaxmill/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --start-period=60s --interval=10s --timeout=5s CMD ["python", "-c", \
    "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=4)"]
ENTRYPOINT ["flaxmill", "serve"]
CMD ["/model", "--host", "0.0.0.0", "--port", "8000"]
