const answer = await fetch('http://127.0.0.1:8008/ready').catch(() => undefined);
process.exit(answer?.status === 200 ? 0 : 1);
